"""Metrics: pure functions of tensors, each with a thin class."""
