"""Rank correlation."""

from __future__ import annotations

from tagxai.lazy import torch


def rank_correlation(a: torch.Tensor, b: torch.Tensor) -> float | None:
    """Spearman's rank correlation of two equally long lists; None where one of them is constant.

    >>> import torch
    >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 20.0, 15.0]))
    0.5
    """
    x, y = (_ranks(values.detach().cpu()) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    size = (x.square().sum() * y.square().sum()).sqrt().item()
    return round((x * y).sum().item() / size, 6) if size > 0 else None


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """From 1 upwards; equal values share the mean of their ranks."""
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[place]
