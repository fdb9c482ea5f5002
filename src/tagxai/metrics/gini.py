"""Gini index: how unevenly an explanation spreads over the words (Hurley & Rickard, IEEE Trans. Inf. Theory 2009).

As a measure of explanations: Chalasani et al., "Concise Explanations of Neural Networks using Adversarial Training",
ICML 2020.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.lazy import torch


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


class Gini(Metric):
    """Complexity: Gini index of the words' scores over the clip, 1 is one word alone (Chalasani et al. 2020)."""

    name: ClassVar[str] = "gini"
    family: ClassVar[str] = "complexity"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return gini(attribution.over_time(attribution.words()).mean(1))
