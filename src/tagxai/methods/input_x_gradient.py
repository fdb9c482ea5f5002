"""Input x gradient of every code (Shrikumar et al., "Not Just a Black Box", 2016), exact, in one forward-mode pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.contract.workload import Workload
from tagxai.probing.derivatives import Derivatives, GradientTarget, Mode


@dataclass(frozen=True)
class InputXGradient(Method):
    """Input x gradient: each token's embedding times its derivative, for every code (Shrikumar et al., 2016)."""

    name: ClassVar[str] = "input_x_gradient"
    needs = frozenset({"gradients"})
    passes = "tokens, in forward mode (in batches)"

    target: GradientTarget = "conditional"
    """Whose log-probability: `conditional`, or `guided` (under classifier-free guidance)."""
    mode: Mode = "auto"
    """Of differentiation: `auto` takes forward mode where there are more codes than tokens, else reverse mode."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        work = Derivatives(generator, generation, target=self.target, mode=self.mode, on_progress=on_progress)
        return work.attribution(self, work.per_token(work.embeddings, work.embeddings))

    def memory(self, work: Workload) -> int:
        return work.tangents(work.tokens)
