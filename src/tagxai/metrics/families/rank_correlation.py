"""Spearman's rank correlation (1904), ties by mean ranks; undefined for constants, which have no order."""

from __future__ import annotations

from tagxai.contract.attribution import Attribution
from tagxai.lazy import Float, torch


def ranks(values: Float[torch.Tensor, " items"]) -> Float[torch.Tensor, " items"]:
    """Places in ascending order from 0; equal values share the mean of their places.

    >>> import torch
    >>> ranks(torch.tensor([5.0, 1.0, 5.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, group, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts + 1) / 2)[group]


def rank_correlation(first: Float[torch.Tensor, " items"], second: Float[torch.Tensor, " items"]) -> float | None:
    """The correlation of the ranks, or None where it is undefined: one of the two is constant.

    >>> import torch
    >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 10.0, 5.0]))
    0.5
    >>> rank_correlation(torch.ones(3), torch.ones(3)) is None
    True
    """
    a, b = (ranks(values.detach().cpu()) - (len(values) - 1) / 2 for values in (first, second))
    norm = float(a.norm() * b.norm())
    return max(-1.0, min(1.0, round(float(a @ b) / norm, 12))) if norm else None


def rank_agreement(first: Float[torch.Tensor, " items"], second: Float[torch.Tensor, " items"]) -> float:
    """The rank correlation as a metric's number. Where it is undefined: 1 if both are constant, since both say that no
    item differs from another; 0 if only one is.

    >>> import torch
    >>> rank_agreement(torch.ones(3), torch.zeros(3)), rank_agreement(torch.ones(3), torch.arange(3.0))
    (1.0, 0.0)
    """
    found = rank_correlation(first, second)
    if found is not None:
        return found
    return float(all(len(values.unique()) <= 1 for values in (first, second)))


def explanation_agreement(first: Attribution, second: Attribution) -> float:
    """`rank_agreement` of two explanations over tokens x frames, for clips of one size."""
    return rank_agreement(*(explanation.scores.double().mean(0).flatten().cpu() for explanation in (first, second)))
