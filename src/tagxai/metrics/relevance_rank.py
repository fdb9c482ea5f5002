"""Relevance rank accuracy: how many of the K best cells are among K true ones (Arras et al., Inf. Fusion 2022)."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.metrics.families.localisation import Localisation, over_cells


def relevance_rank(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words"] | None = None,
) -> float:
    """The share of true cells among the K highest, where K cells are true: its expected value over orders of ties.

    Chance: the share of true cells. The sign of scores counts, their scale does not.

    >>> import torch
    >>> truth = torch.tensor([[True, True], [False, False]])
    >>> relevance_rank(torch.tensor([[3.0, 0.0], [2.0, 1.0]]), truth)
    0.5
    >>> relevance_rank(torch.tensor([[3.0, 2.0], [2.0, 1.0]]), truth)
    0.75
    """
    sizes, hits = over_cells(scores, truth, scored)
    left = total = sum(hits)
    found = 0.0
    for size, true in zip(sizes, hits, strict=True):
        found += true * min(left, size) / size
        left -= min(left, size)
    return found / total


class RelevanceRank(Localisation):
    """The share of the K true cells that are among the K best (relevance rank accuracy, Arras et al. 2022)."""

    name: ClassVar[str] = "relevance_rank"
    measure = staticmethod(relevance_rank)
