"""One line for every clip that is explained: what is heard in it, beside what its prompt asks for."""

from __future__ import annotations

from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.scoring import words_and_beginning


def heard_sentence(generator: Generator, clip: Generation) -> str:
    """What the model's own detector hears, or that it has none: an explanation of what is not in the clip misleads."""
    heard = generator.heard(clip)
    if heard is None:
        sentence = f"heard: not checked, as generator {generator.name!r} has no detector; listen to original.flac"
    else:
        sentence = str(heard)
    return f"{sentence}; {_beginning_sentence(generator, clip)}" if clip.given else sentence


def _beginning_sentence(generator: Generator, clip: Generation) -> str:
    found = words_and_beginning(generator, clip)
    beginning, words = (float(part[:, clip.given :].mean()) for part in (found.beginning, found.words))
    return (
        f"the first {clip.given / clip.frame_rate:g} s were given: hearing them adds {beginning:+.2f} nats to the "
        f"log-probability of a generated code, reading the words {words:+.2f}"
    )
