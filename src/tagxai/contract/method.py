"""An attribution method: what a plugin that explains clips subclasses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator, check_offered
from tagxai.contract.options import Configurable
from tagxai.contract.values import Generation, OnProgress
from tagxai.contract.workload import Workload


class Method(Configurable, ABC):
    """An attribution method: a frozen dataclass whose fields are its hyper-parameters.

    `needs` says what it asks of a generator; a mismatch is an error before any work (`check_supported`).
    """

    role: ClassVar[str] = "method"
    name: ClassVar[str]
    needs: ClassVar[frozenset[Capability]] = frozenset()
    passes: ClassVar[str] = "not stated"  # of the model that it takes, in words: its class of cost

    @abstractmethod
    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution: ...

    def memory(self, work: Workload) -> int:
        """Bytes that `attribute` takes at its peak beside the weights, for the estimate before a run."""
        return work.backward(2) if "gradients" in self.needs else work.forward(work.batch)

    def check_supported(self, generator: Generator) -> None:
        """Raises UnsupportedError naming what is missing."""
        check_offered(f"method {self.name!r}", self.needs, generator)
