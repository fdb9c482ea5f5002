"""A metric: what a plugin that measures explanations subclasses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator, check_offered
from tagxai.contract.method import Method
from tagxai.contract.options import Configurable
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError


class Metric(Configurable, ABC):
    """A measure of one explanation: a number with a direction and bounds. `needs` is as that of a method.

    `expense` says in words what it takes: "arithmetic", or passes or clips of the model.
    """

    role: ClassVar[str] = "metric"
    name: ClassVar[str]
    family: ClassVar[str]
    higher_is_better: ClassVar[bool]
    bounds: ClassVar[tuple[float, float]]
    expense: ClassVar[str] = "arithmetic"
    needs: ClassVar[frozenset[Capability]] = frozenset()

    @abstractmethod
    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float: ...

    def prepare(self, generator: Generator, attributions: Sequence[Attribution]) -> None:
        """Make in one batch what `score` of each of these explanations needs, and remember it; by default nothing.

        It saves time and changes no value: `score` makes whatever is missing. A benchmark calls it for the explanations
        of a clip, where the metric is tagxai's own.
        """

    def check_supported(self, generator: Generator) -> None:
        """Raises UnsupportedError naming what is missing."""
        check_offered(f"metric {self.name!r}", self.needs, generator)


class MethodMetric(Metric):
    """A measure of the method behind an explanation, which it asks again: of another clip, seed or model.

    `tagxai.explaining.measuring.measure` finds the method that an attribution names.
    """

    @abstractmethod
    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float: ...

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        self.check_supported(generator)
        raise TagxaiError(
            f"metric {self.name!r} asks the method again: call score_method with it, or "
            "tagxai.explaining.measuring.measure"
        )
