"""Gradient x attention: each cross-attention weight times its gradient (Serrano & Smith, ACL 2019, section 3).

Summed over layers, heads and steps it is the derivative of the target with respect to a gate on the token, at the open
gate: what a slightly closed gate would cost, to first order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.run import Run
from tagxai.lazy import Float, torch
from tagxai.methods.families.gradient_attention import GradientAttentionMethod
from tagxai.methods.families.layers import LayerMethod
from tagxai.probing.attention_gradients import WeightObserver


@dataclass(frozen=True)
class GradientXAttention(LayerMethod, GradientAttentionMethod):
    """Gradient x attention: the first-order effect of a token's cross-attention (Serrano & Smith, ACL 2019)."""

    name: ClassVar[str] = "gradient_x_attention"

    positive: bool = False
    """Count only weights whose gradient is positive, as Barkan et al. (Grad-SAM, 2021) do."""

    def observer(
        self,
        run: Run,
        sites: Sequence[AttentionSite],
        targets: Sequence[range],
        scores: Float[torch.Tensor, "streams frames tokens"],
    ) -> WeightObserver:
        def look(window: int, site: AttentionSite, weights: torch.Tensor, gradients: torch.Tensor) -> None:
            effects = weights * (gradients.clamp(min=0) if self.positive else gradients)
            frames = targets[window]
            scores[:, frames.start : frames.stop] += effects.sum((0, 1)).cpu() / len(frames)  # equal shares

        return look
