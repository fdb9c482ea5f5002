"""What the embedded models share: the laboratory's detector, and the truth about their clips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tagxai.contract.generator import Generator
from tagxai.contract.hearing import Heard
from tagxai.contract.truth import Level, Truth, Twin
from tagxai.contract.values import Generation

if TYPE_CHECKING:
    from tagxai.laboratory.judging.detector import EventDetector

WEIGHTS = Path(__file__).parent.parent / "laboratory" / "weights"


class KnownTruth(Generator):
    """A generator of the laboratory's sounds, whose prompts are of its grammar."""

    def remarks(self, prompt: str) -> Sequence[str]:
        from tagxai.laboratory.judging.hearing import remarks

        return remarks(prompt)

    def heard(self, generation: Generation) -> Heard:
        from tagxai.laboratory.judging.hearing import hear

        return hear(self.detector, generation)

    @cached_property
    def detector(self) -> EventDetector:
        """The package's event detector, which also judges other weights."""
        from tagxai.laboratory.judging.detector import EventDetector

        return EventDetector.load()

    @cached_property
    def _truths(self) -> WeakKeyDictionary[Generation, dict[Level, Truth | None]]:
        return WeakKeyDictionary()

    @cached_property
    def _twins(self) -> WeakKeyDictionary[Generation, Twin | None]:
        return WeakKeyDictionary()

    def truth(self, generation: Generation, level: Level = "word") -> Truth | None:
        """What the prompt's words do in this clip, by its grammar, its detector and interventions on the model.

        Makes one or two more clips for each event that the prompt names (see `tagxai.laboratory.judging.truth`), and
        at `level="now"` one for each window in which an event sounds (`tagxai.laboratory.judging.needed_now`).
        """
        from tagxai.laboratory.judging.needed_now import needed_now
        from tagxai.laboratory.judging.truth import truth

        if generation.given:
            return None  # what is heard at the beginning is not of the prompt's making
        known = self._truths.setdefault(generation, {})
        if level not in known:  # every metric of localisation asks again
            known[level] = (
                needed_now(self, generation, self.detector)
                if level == "now"
                else truth(self, generation, self.detector, level)
            )
        return known[level]

    def knows_truth_of(self, prompt: str) -> bool:
        """Whether the grammar can say the prompt."""
        from tagxai.laboratory.language.parsing import parse

        return parse(prompt) is not None

    def twin(self, generation: Generation) -> Twin | None:
        """The clip of the prompt without its last event (see `tagxai.laboratory.judging.twins`)."""
        from tagxai.laboratory.judging.twins import twin

        if generation not in self._twins:
            known = self.truth(generation)
            self._twins[generation] = None if known is None else twin(self, generation, self.detector, known)
        return self._twins[generation]
