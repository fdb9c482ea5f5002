"""How alike two explanations are, whatever their scale: Spearman's rank correlation (1904), ties by mean ranks."""

from __future__ import annotations

from jaxtyping import Float

from tagxai.contract.attribution import Attribution
from tagxai.lazy import torch


def ranks(values: Float[torch.Tensor, " items"]) -> Float[torch.Tensor, " items"]:
    """Places in ascending order from 0; equal values share the mean of theirs.

    >>> import torch
    >>> ranks(torch.tensor([5.0, 1.0, 5.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, group, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts + 1) / 2)[group]


def spearman(first: Float[torch.Tensor, " items"], second: Float[torch.Tensor, " items"]) -> float:
    """The correlation of the ranks. Constants have no ranks: 1 if both are constant, 0 if one is.

    >>> import torch
    >>> spearman(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 10.0, 5.0]))
    0.5
    """
    a, b = (ranks(values) - (len(values) - 1) / 2 for values in (first, second))
    norm = float(a.norm() * b.norm())
    if norm == 0:
        return float(not a.any() and not b.any())
    return max(-1.0, min(1.0, round(float(a @ b) / norm, 12)))


def alike(first: Attribution, second: Attribution) -> float:
    """The rank correlation of two explanations over tokens x frames, for clips of one size."""
    return spearman(*(explanation.scores.double().mean(0).flatten().cpu() for explanation in (first, second)))
