"""What the embedded models share: the laboratory's detector, and the truth about their clips."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tagxai.contract.generator import Generator
from tagxai.contract.truth import Level, Truth
from tagxai.contract.values import Generation

if TYPE_CHECKING:
    from tagxai.laboratory.judging.detector import EventDetector

WEIGHTS = Path(__file__).parent.parent / "laboratory" / "weights"


class KnownTruth(Generator):
    """A generator of the laboratory's sounds, whose prompts are of its grammar."""

    @cached_property
    def detector(self) -> EventDetector:
        """The package's event detector, which also judges other weights."""
        from tagxai.laboratory.judging.detector import EventDetector

        return EventDetector.load()

    @cached_property
    def _truths(self) -> WeakKeyDictionary[Generation, dict[Level, Truth | None]]:
        return WeakKeyDictionary()

    def truth(self, generation: Generation, level: Level = "word") -> Truth | None:
        """What the prompt's words do in this clip, by its grammar, its detector and interventions on the model.

        Makes one or two more clips for each event that the prompt names (see `tagxai.laboratory.judging.truth`).
        """
        from tagxai.laboratory.judging.truth import truth

        known = self._truths.setdefault(generation, {})
        if level not in known:  # every metric of localisation asks again
            known[level] = truth(self, generation, self.detector, level)
        return known[level]
