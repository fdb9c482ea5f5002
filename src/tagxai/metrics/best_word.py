"""Hit at k and reciprocal rank: whether, and how high, a ranking of a clip's words has one that causes it."""

from __future__ import annotations

from math import comb
from typing import ClassVar

from tagxai.lazy import Bool, Float, torch
from tagxai.metrics.families.localisation import Localisation
from tagxai.metrics.families.ties import over_clip


def hit(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
    *,
    k: int = 1,
) -> float:
    """The probability, over random orders of equal words, that a true word is among the k best means over the clip.

    Chance, of n words with p true ones: 1 - C(n - p, k) / C(n, k). The sign of scores counts, their scale does not.

    >>> import torch
    >>> truth = torch.tensor([[True], [False], [False]])
    >>> hit(torch.tensor([[2.0], [1.0], [0.0]]), truth), hit(torch.tensor([[1.0], [1.0], [0.0]]), truth)
    (1.0, 0.5)
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    left = k
    for size, hits in zip(*over_clip(scores, truth, scored), strict=True):
        if hits:
            return 1 - comb(size - hits, min(left, size)) / comb(size, min(left, size))
        left -= size
        if left <= 0:
            break
    return 0.0


def reciprocal_rank(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words *cells"] | None = None,
) -> float:
    """1 / rank of the first true word, by means over the clip: its expected value over random orders of equal words.

    Chance, of n words with one true: (1 + 1/2 + ... + 1/n) / n. The sign of scores counts, their scale does not.

    >>> import torch
    >>> truth = torch.tensor([[True], [False], [False]])
    >>> reciprocal_rank(torch.tensor([[1.0], [2.0], [0.0]]), truth)
    0.5
    >>> reciprocal_rank(torch.tensor([[1.0], [1.0], [0.0]]), truth)
    0.75
    """
    above = 0
    for size, hits in zip(*over_clip(scores, truth, scored), strict=True):
        if hits:
            # the first of `hits` true words among `size` is at place j in C(size - j, hits - 1) of C(size, hits) orders
            places = range(1, size - hits + 2)
            return sum(comb(size - j, hits - 1) / (above + j) for j in places) / comb(size, hits)
        above += size
    raise AssertionError("scored_rows has found a true word")


class Hit(Localisation):
    """Hit at 1: whether the best word of the clip is one that causes it."""

    name: ClassVar[str] = "hit_at_1"
    formula = staticmethod(hit)


class ReciprocalRank(Localisation):
    """1 / rank of the best word that causes the clip; the mean over clips is MRR (Voorhees 1999)."""

    name: ClassVar[str] = "reciprocal_rank"
    formula = staticmethod(reciprocal_rank)
