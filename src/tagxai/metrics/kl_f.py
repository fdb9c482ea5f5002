"""KL_F: how far clips sampled under the mask are from the original (Kang et al., AAAI 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from jaxtyping import Float

from tagxai.lazy import torch
from tagxai.metrics.families.divergence import divergence
from tagxai.metrics.families.regeneration import RegenerationMetric


@dataclass(frozen=True)
class FactualKL(RegenerationMetric):
    """Regeneration: divergence of clips sampled under the mask from the original, small is good (Kang et al. 2025)."""

    name: ClassVar[str] = "kl_f"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (-0.01, inf)  # the 1e-6 of its definition takes it a little below 0
    factual: ClassVar[bool] = True

    reverse: bool = False
    """KL(original || new) in place of KL(new || original), which is AudioGenX's."""

    def compare(
        self, original: Float[torch.Tensor, " labels"], new: Float[torch.Tensor, "repeats labels"], exclusive: bool
    ) -> float:
        same = original.expand_as(new)
        return divergence(same, new, exclusive) if self.reverse else divergence(new, same, exclusive)
