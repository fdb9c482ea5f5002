"""How an amortised explainer is trained for a generator: lessons of a teacher, clusters of frames, and learning."""
