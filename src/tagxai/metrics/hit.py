"""Hit at k: whether one of the k best words of a clip is a word that causes it (top-k accuracy)."""

from __future__ import annotations

from math import comb
from typing import ClassVar

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.metrics.families.localisation import Localisation, over_clip


def hit(
    scores: Float[torch.Tensor, "words frames"],
    truth: Bool[torch.Tensor, "words frames"],
    scored: Bool[torch.Tensor, " words"] | None = None,
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


class Hit(Localisation):
    """Hit at 1: whether the best word of the clip is one that causes it."""

    name: ClassVar[str] = "hit_at_1"
    measure = staticmethod(hit)
