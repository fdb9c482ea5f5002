"""The base of methods that differentiate each outcome's log-probability by the prompt's embeddings."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.generator import Capability
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import Workload
from tagxai.lazy import Float, torch
from tagxai.probing.derivatives import Derivatives, GradientTarget, Mode


@dataclass(frozen=True)
class GradientMethod(Method):
    """A method writes `scores`: its formula, on derivatives that are taken in whichever mode has fewer passes."""

    family: ClassVar[str] = "gradients"
    needs: ClassVar[frozenset[Capability]] = frozenset({"gradients"})
    complete: ClassVar[bool] = False
    """Whether scores should add up to the prompt's effect; how far they miss it is then reported."""

    target: GradientTarget = "conditional"
    """Whose log-probability: `conditional`, or `guided` (under classifier-free guidance)."""
    mode: Mode = "auto"
    """The mode of differentiation: `auto` takes the one with fewer passes."""

    @abstractmethod
    def scores(self, derivatives: Derivatives) -> Float[torch.Tensor, "streams frames tokens"]:
        """The method's formula."""

    def derivatives_asked_for(self) -> int:
        """How often `scores` asks for derivatives; progress is reported against it."""
        return 1

    def explain(self, run: Run) -> Scores:
        derivatives = Derivatives(run, target=self.target, mode=self.mode, calls=self.derivatives_asked_for())
        return derivatives.scores(self.scores(derivatives), complete=self.complete)

    def peak_memory(self, work: Workload) -> int:
        return work.tangents(work.tokens)
