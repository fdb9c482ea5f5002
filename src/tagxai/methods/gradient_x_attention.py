"""Gradient x attention: each cross-attention weight times its gradient (Serrano & Smith, ACL 2019, section 3).

Summed over layers, heads and steps it is the derivative of the target with respect to a gate on the token, at the open
gate: what a slightly closed gate would cost, to first order.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.lazy import torch
from tagxai.probing.attention_gradients import each_weight_with_gradient, windows
from tagxai.probing.choice import chosen_layers


@dataclass(frozen=True)
class GradientXAttention(Method):
    """Gradient x attention: the first-order effect of a token's cross-attention (Serrano & Smith, ACL 2019)."""

    name: ClassVar[str] = "gradient_x_attention"
    needs = frozenset({"attention", "gradients"})
    passes = "one forward and one backward pass for each window of `resolution` seconds"

    resolution: float | None = 0.5
    """Seconds of audio whose log-probability is one target; each target costs a row of a forward and backward pass, and
    its score is shared equally by its frames. None takes the whole clip as one."""
    positive: bool = False
    """Count only weights whose gradient is positive, as Barkan et al. (Grad-SAM, 2021) do."""
    layers: str | None = None
    """Layers to sum over, such as `0,3,-1` (-1 is the last); none stands for all."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        sites = chosen_layers(generator.cross_attention(), self.layers)
        targets = windows(generation, self.resolution)
        scores = torch.zeros(1, generation.frames, len(generation.tokens))

        def look(window: int, site: AttentionSite, weights: torch.Tensor, gradients: torch.Tensor) -> None:
            effects = weights * (gradients.clamp(min=0) if self.positive else gradients)
            frames = targets[window]
            scores[0, frames.start : frames.stop] += effects.sum((0, 1)).cpu() / len(frames)

        passes = each_weight_with_gradient(generator, generation, sites, targets, look, on_progress=on_progress)
        return Attribution(
            generation,
            scores,
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, **passes},
        )
