"""Fid_F: how much the original's top label changes in clips sampled under the mask (Kang et al., AAAI 2025).

The paper gives no formula: `tagxai.metrics.families.divergence.change_of_top` is our reading of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from tagxai.lazy import torch
from tagxai.metrics.families.divergence import change_of_top
from tagxai.metrics.families.regeneration import RegenerationMetric


@dataclass(frozen=True)
class FactualFidelity(RegenerationMetric):
    """Regeneration: change of the top label's probability under the mask, small is good (after Kang et al. 2025)."""

    name: ClassVar[str] = "fid_f"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    factual: ClassVar[bool] = True

    def compare(
        self, original: Float[torch.Tensor, " labels"], new: Float[torch.Tensor, "repeats labels"], exclusive: bool
    ) -> float:
        return change_of_top(original, new)
