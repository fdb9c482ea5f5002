"""The twin test: another clip of the same prompt, which lacks an event, must be explained differently.

Kang et al. (AAAI 2025) claim so of AudioGenX, by an example. Here it is measured: an explanation of what was made gives
the missing event's words nothing in the twin, and one of what was asked for gives them as much as in the original.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric
from tagxai.contract.truth import Twin
from tagxai.contract.values import Generation
from tagxai.errors import NotApplicableError
from tagxai.metrics.families.localisation import Gaps, align
from tagxai.metrics.families.shares import share_of_words
from tagxai.metrics.families.word_time import average_precision


def shares_of_missing(original: Attribution, lacking: Attribution, twin: Twin) -> tuple[float, float]:
    """The share of the missing event's words among all events' words: in the original's explanation, in the twin's."""
    events = [i for i, word in enumerate(twin.truth.words) if word.kind == "event" and word.causal]
    units = twin.truth.units(twin.generation)
    first, second = (share_of_words(each.over_time(units), twin.missing, events) for each in (original, lacking))
    return first, second


@dataclass(frozen=True)
class _TwinTest(MethodMetric):
    family: ClassVar[str] = "localisation"
    higher_is_better: ClassVar[bool] = True
    needs: ClassVar[frozenset[Capability]] = frozenset({"truth"})
    expense: ClassVar[str] = "1 clip, shared by all methods, and 1 explanation"

    def twin_of(self, generator: Generator, generation: Generation) -> Twin:
        """Raises NotApplicableError for a prompt without a twin."""
        self.check_supported(generator)
        found = generator.twin(generation)
        if found is None:
            raise NotApplicableError(
                f"metric {self.name!r} needs a clip that lacks one of two events, and there is none for "
                f"{generation.prompt!r}"
            )
        return found


@dataclass(frozen=True)
class TwinAveragePrecision(_TwinTest):
    """Twin test: average precision in the clip that lacks an event, whose words are true nowhere there."""

    name: ClassVar[str] = "twin_average_precision"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    gaps: Gaps = "neither"
    """Whether silence between a word's own sounds is `false`, or `neither` true nor false."""

    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float:
        twin = self.twin_of(generator, generation)
        return average_precision(*align(method.attribute(generator, twin.generation), twin.truth, gaps=self.gaps))


@dataclass(frozen=True)
class TwinShareLost(_TwinTest):
    """Twin test: the share of an event's words among all events' words, less their share in the clip that lacks it."""

    name: ClassVar[str] = "twin_share_lost"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float:
        twin = self.twin_of(generator, generation)
        with_event, without = shares_of_missing(attribution, method.attribute(generator, twin.generation), twin)
        return with_event - without
