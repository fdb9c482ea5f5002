"""Attention Grad-CAM: a layer's heads weighted by their mean gradient (Selvaraju et al., ICCV 2017, section 3).

As used on attention by Chefer, Gur, Wolf (CVPR 2021, section 4): Grad-CAM's channels are the heads of one layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.timeline import undo_delay
from tagxai.contract.values import Generation, OnProgress
from tagxai.lazy import torch
from tagxai.probing.attention_gradients import each_weight_with_gradient, windows
from tagxai.probing.choice import chosen_layers


@dataclass(frozen=True)
class AttentionGradCAM(Method):
    """Grad-CAM on cross-attention: heads weighted by their mean gradient, positive part (Selvaraju et al., 2017)."""

    name: ClassVar[str] = "attention_grad_cam"
    needs = frozenset({"attention", "gradients"})
    passes = "one forward and one backward pass for each window of `resolution` seconds"

    resolution: float | None = 0.5
    """Seconds of audio whose log-probability is one target; each target costs a row of a forward and backward pass.
    Heads are weighted anew for each. None takes the whole clip as one."""
    layers: str | None = "-1"
    """Layers to average over, such as `0,3,-1` (-1 is the last); none stands for all."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        sites = chosen_layers(generator.cross_attention(), self.layers)
        targets = windows(generation, self.resolution)
        scores = torch.zeros(len(generation.delays), generation.frames, len(generation.tokens))

        def look(window: int, site: AttentionSite, weights: torch.Tensor, gradients: torch.Tensor) -> None:
            importance = gradients.mean((1, 2), keepdim=True)
            map_of_layer = (importance * weights).mean(0).clamp(min=0).cpu()
            frames = targets[window]
            whole = undo_delay(map_of_layer, generation.delays, generation.frames)
            scores[:, frames.start : frames.stop] += whole[:, frames.start : frames.stop] / len(sites)

        passes = each_weight_with_gradient(generator, generation, sites, targets, look, on_progress=on_progress)
        return Attribution(
            generation,
            scores,
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, **passes},
        )
