"""Input x gradient of every code (Shrikumar et al., "Not Just a Black Box", 2016), exact, in one forward-mode pass."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from tagxai.attribution import Attribution
from tagxai.base import Generator, Method
from tagxai.forward_mode import token_derivatives
from tagxai.memory import Workload
from tagxai.types import Generation, OnProgress


@dataclass(frozen=True)
class InputXGradient(Method):
    """Input x gradient: each token's embedding times its derivative, for every code (Shrikumar et al., 2016)."""

    name: ClassVar[str] = "input_x_gradient"
    needs = frozenset({"gradients"})

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        scores = token_derivatives(generator, generation, generator.encode_prompt([generation.prompt]))
        cost = {"seconds": perf_counter() - started, "forward_passes": len(generation.tokens)}
        return Attribution(generation, scores.float().cpu(), self.name, self.settings(), cost=cost)

    def memory(self, work: Workload) -> int:
        return work.tangents(work.tokens)
