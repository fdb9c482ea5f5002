"""What a paper needs of a benchmark: tests of all pairs, ranks, what varies, tables in LaTeX, and references."""
