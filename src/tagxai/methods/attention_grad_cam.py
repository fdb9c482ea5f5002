"""Attention Grad-CAM: a layer's heads weighted by their mean gradient (Selvaraju et al., ICCV 2017, section 3).

As used on attention by Chefer, Gur, Wolf (CVPR 2021, section 4): Grad-CAM's channels are the heads of one layer.
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
from tagxai.methods.families.one_pass import mean_over_heads
from tagxai.probing.attention_gradients import WeightObserver


@dataclass(frozen=True)
class AttentionGradCAM(LayerMethod, GradientAttentionMethod):
    """Grad-CAM on cross-attention: heads weighted by their mean gradient, positive part (Selvaraju et al., 2017)."""

    name: ClassVar[str] = "attention_grad_cam"
    resolves_streams: ClassVar[bool] = True

    layers: str | None = "-1"
    """Layers to average over, such as `0,3,-1` (-1 is the last); none means all."""

    def observer(
        self,
        run: Run,
        sites: Sequence[AttentionSite],
        targets: Sequence[range],
        scores: Float[torch.Tensor, "streams frames tokens"],
    ) -> WeightObserver:
        def look(window: int, site: AttentionSite, weights: torch.Tensor, gradients: torch.Tensor) -> None:
            importance = gradients.mean((1, 2), keepdim=True)
            weighted = mean_over_heads((importance * weights)[None], site.levels)
            layer_map = run.generation.timeline.at_levels(weighted.clamp(min=0).cpu())
            frames = slice(targets[window].start, targets[window].stop)
            scores[:, frames] += layer_map[:, frames] / len(sites)

        return look
