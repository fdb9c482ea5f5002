"""Gini index and effective number of words: how unevenly an explanation spreads over the words.

Gini index: Hurley and Rickard, "Comparing Measures of Sparsity", IEEE Trans. Inf. Theory 2009; for explanations:
Chalasani et al., "Concise Explanations of Neural Networks using Adversarial Training", ICML 2020. Effective number of
words: the exponential of an entropy, as "complexity" in Bhatt et al., IJCAI 2020, section 3.
"""

from __future__ import annotations

from math import inf
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.lazy import Float, torch


def gini(scores: Float[torch.Tensor, " words"]) -> float:
    """0 if all magnitudes are equal, 1 - 1/n if one of n words has it all; signs and scale do not count.

    With magnitudes c in ascending order: 1 - 2 sum_k c_k / |c| (n - k + 1/2) / n. Of zeros alone it is 0.

    >>> import torch
    >>> gini(torch.tensor([0.0, 0.0, 0.0, -2.0])), gini(torch.ones(3))
    (0.75, 0.0)
    """
    sizes = scores.double().abs().sort().values
    if not sizes.any():
        return 0.0
    n = len(sizes)
    places = torch.arange(1, n + 1, dtype=sizes.dtype, device=sizes.device)
    shares = sizes / sizes.max()  # so that no scale makes the sum overflow or vanish
    shares = shares / shares.sum()
    return max(0.0, float(1 - 2 * (shares * (n - places + 0.5) / n).sum()))


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


class Gini(Metric):
    """Complexity: Gini index of the words' scores over the clip, 1 is one word alone (Chalasani et al. 2020)."""

    name: ClassVar[str] = "gini"
    family: ClassVar[str] = "complexity"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return gini(attribution.over_time(attribution.words()).mean(1))


class EffectiveWords(Metric):
    """Complexity: how many words share an explanation, exp of the entropy of their shares (Bhatt et al. 2020)."""

    name: ClassVar[str] = "effective_words"
    family: ClassVar[str] = "complexity"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (1.0, inf)

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return effective_words(attribution.over_time(attribution.words()).mean(1))
