"""Integrated gradients from the null condition to the prompt (Sundararajan, Taly, Yan, ICML 2017), in forward mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.contract.workload import Workload
from tagxai.lazy import torch
from tagxai.probing.derivatives import Derivatives, GradientTarget, Mode


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """Integrated gradients of every code, from no prompt to the prompt (Sundararajan et al., ICML 2017)."""

    name: ClassVar[str] = "integrated_gradients"
    needs = frozenset({"gradients"})
    passes = "points x tokens, in forward mode (tokens in batches)"

    points: int = 12
    """Gauss-Legendre points of the integral along the path: 12 were within 0.3 % of 40 on the embedded model."""
    target: GradientTarget = "conditional"
    """Whose log-probability: `conditional`, or `guided` (under classifier-free guidance)."""
    mode: Mode = "auto"
    """Of differentiation: `auto` takes forward mode where there are more codes than tokens, else reverse mode."""

    def __post_init__(self) -> None:
        self.require("points", self.points >= 1, "at least 1")

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        import numpy as np

        self.check_supported(generator)
        work = Derivatives(
            generator, generation, target=self.target, mode=self.mode, calls=self.points, on_progress=on_progress
        )
        prompt = work.embeddings
        places, weights = np.polynomial.legendre.leggauss(self.points)
        parts = [
            work.per_token((place + 1) / 2 * prompt, prompt) * (weight / 2)
            for place, weight in zip(places.tolist(), weights.tolist(), strict=True)
        ]
        return work.attribution(self, torch.stack(parts).sum(0), complete=True)

    def memory(self, work: Workload) -> int:
        return work.tangents(work.tokens)
