"""Relevance mass and rank accuracy: how much relevance, or how many top cells, lie in the truth (Arras et al. 2022)."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.metrics.families.localisation import Localisation
from tagxai.metrics.families.ties import over_cells, scored_cells


def relevance_mass(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> float:
    """The share of the positive scores that lies on true cells; negative scores count as 0.

    Chance: the share of true cells, which is also the value where no score is positive. The scale of scores does not
    count, but a constant that is added to all does: an explanation with an offset has mass everywhere.

    >>> import torch
    >>> truth = torch.tensor([[True, True], [False, False]])
    >>> relevance_mass(torch.tensor([[2.0, 1.0], [1.0, -5.0]]), truth)
    0.75
    >>> relevance_mass(torch.zeros(2, 2), truth)
    0.5
    """
    scores, truth = scored_cells(scores, truth, scored)
    mass = scores.double().clamp(min=0)
    if not mass.any():
        return float(truth.double().mean())
    mass = mass / mass.max()  # so that no scale makes the sums overflow or vanish
    return float((mass[truth].sum() / mass.sum()).clamp(max=1))


def relevance_rank(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
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


class RelevanceMass(Localisation):
    """The share of positive relevance that lies in the truth (relevance mass accuracy, Arras et al. 2022)."""

    name: ClassVar[str] = "relevance_mass"
    formula = staticmethod(relevance_mass)


class RelevanceRank(Localisation):
    """The share of the K true cells that are among the K best (relevance rank accuracy, Arras et al. 2022)."""

    name: ClassVar[str] = "relevance_rank"
    formula = staticmethod(relevance_rank)
