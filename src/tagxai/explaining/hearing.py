"""One line for every clip that is explained: what is heard in it, beside what its prompt asks for."""

from __future__ import annotations

from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation


def heard_sentence(generator: Generator, clip: Generation) -> str:
    """What the model's own detector hears, or that it has none: an explanation of what is not in the clip misleads."""
    heard = generator.heard(clip)
    if heard is None:
        return f"heard: not checked, as generator {generator.name!r} has no detector; listen to original.flac"
    return str(heard)
