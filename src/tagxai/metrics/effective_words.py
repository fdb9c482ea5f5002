"""Effective number of words: exp of the entropy of their shares (Bhatt et al., IJCAI 2020, section 3, "complexity")."""

from __future__ import annotations

from math import inf
from typing import ClassVar

from jaxtyping import Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.lazy import torch


def effective_words(scores: Float[torch.Tensor, " words"]) -> float:
    """How many words of equal magnitude are as spread out as these: 1 for one word alone, n for n equal ones.

    Bhatt et al. report the entropy itself. Signs and scale do not count. Zeros alone are n equal words.

    >>> import torch
    >>> round(effective_words(torch.tensor([3.0, -3.0, 0.0, 0.0])), 6)
    2.0
    """
    sizes = scores.double().abs()
    if not sizes.any():
        return float(len(sizes))
    shares = sizes / sizes.max()
    shares = shares / shares.sum()
    return max(1.0, float(torch.special.entr(shares).sum().exp()))


class EffectiveWords(Metric):
    """Complexity: how many words share an explanation, exp of the entropy of their shares (Bhatt et al. 2020)."""

    name: ClassVar[str] = "effective_words"
    family: ClassVar[str] = "complexity"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (1.0, inf)

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return effective_words(attribution.over_time(attribution.words()).mean(1))
