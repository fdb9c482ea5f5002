"""Benchmarks: methods measured alike, with controls, intervals and comparisons, in runs that survive interruptions."""
