"""The embedded model: shipped in the package, trained by `tagxai.laboratory` on sounds of our own."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from tagxai.contract.generator import Capability
from tagxai.contract.truth import Level, Truth, Twin
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.generators.transformers.model import TransformersGenerator

if TYPE_CHECKING:
    from tagxai.laboratory.judging.detector import EventDetector

WEIGHTS = Path(__file__).parent.parent / "laboratory" / "weights"


class TinyGenerator(TransformersGenerator):
    """The embedded model: 3 s of everyday sounds at 16 kHz, with no download."""

    name: ClassVar[str] = "tiny"
    offers: ClassVar[frozenset[Capability]] = TransformersGenerator.offers | {"truth"}
    default_duration: ClassVar[float] = 3.0
    threads: ClassVar[int | None] = 1  # its products are too short to be worth sharing

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> TransformersGenerator:
        if source is None and not (WEIGHTS / "model.safetensors").is_file():
            raise TagxaiError(f"the embedded model's weights are missing from {WEIGHTS}; reinstall tagxai")
        generator = super().load(source or str(WEIGHTS), device=device, dtype=dtype)
        generator.max_duration = cls.default_duration  # it has heard nothing longer
        generator.max_frames = round(generator.max_duration * generator.frame_rate)
        generator.source = source or ""  # a result names the embedded model, not a path of this machine
        return generator

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

        known = self._truths.setdefault(generation, {})
        if level not in known:  # every metric of localisation asks again
            known[level] = (
                needed_now(self, generation, self.detector)
                if level == "now"
                else truth(self, generation, self.detector, level)
            )
        return known[level]

    def twin(self, generation: Generation) -> Twin | None:
        """The clip of the prompt without its last event (see `tagxai.laboratory.judging.twins`)."""
        from tagxai.laboratory.judging.twins import twin

        if generation not in self._twins:
            known = self.truth(generation)
            self._twins[generation] = None if known is None else twin(self, generation, self.detector, known)
        return self._twins[generation]
