"""Integrated gradients from the null condition to the prompt (Sundararajan, Taly, Yan, ICML 2017), in forward mode."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from tagxai.attribution import Attribution
from tagxai.base import Generator, Method
from tagxai.errors import TagxaiError
from tagxai.forward_mode import token_derivatives
from tagxai.lazy import torch
from tagxai.memory import Workload
from tagxai.types import Generation, OnProgress, Progress


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """Integrated gradients of every code, from no prompt to the prompt (Sundararajan et al., ICML 2017)."""

    name: ClassVar[str] = "integrated_gradients"
    needs = frozenset({"gradients"})

    points: int = 20
    """Gauss-Legendre points of the integral along the path."""

    def __post_init__(self) -> None:
        if self.points < 1:
            raise TagxaiError(f"option 'points' of method {self.name!r} must be at least 1, not {self.points}")

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        import numpy as np

        self.check_supported(generator)
        started = perf_counter()
        conditioning = generator.encode_prompt([generation.prompt])
        places, weights = np.polynomial.legendre.leggauss(self.points)
        total: torch.Tensor | float = 0.0
        for done, (place, weight) in enumerate(zip(places.tolist(), weights.tolist(), strict=True)):
            derivative = token_derivatives(generator, generation, conditioning, scale=(place + 1) / 2)
            total = total + derivative * (weight / 2)
            if on_progress is not None:
                on_progress(Progress(done + 1, self.points, "integrating"))
        scores = torch.as_tensor(total).float().cpu()
        with torch.no_grad():
            given = generator.forward(generation, conditioning).log_prob
            null = generator.forward(generation, conditioning, branch="unconditional").log_prob
        assert given is not None
        assert null is not None
        effect = given - null
        missed = (scores.sum(-1) - effect[0].float().cpu()).abs()
        return Attribution(
            generation,
            scores,
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, "forward_passes": self.points * len(generation.tokens)},
            diagnostics={
                "completeness_error_mean": missed.mean().item(),
                "completeness_error_max": missed.max().item(),
            },
        )

    def memory(self, work: Workload) -> int:
        return work.tangents(work.tokens)
