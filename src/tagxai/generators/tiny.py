"""The embedded model: shipped in the package, trained by `tagxai.laboratory` on sounds of our own."""

from __future__ import annotations

from typing import ClassVar

from tagxai.contract.generator import Capability
from tagxai.errors import TagxaiError
from tagxai.generators.embedded import WEIGHTS, KnownTruth
from tagxai.generators.transformers.model import TransformersGenerator


class TinyGenerator(KnownTruth, TransformersGenerator):
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
