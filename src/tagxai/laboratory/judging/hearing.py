"""What the detector hears in a clip of an embedded model, beside what the grammar says that its prompt asks for."""

from __future__ import annotations

from textwrap import shorten

from tagxai.contract.hearing import Heard
from tagxai.contract.values import Generation
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.suggesting import suggest, unknown_words
from tagxai.laboratory.sounds.synthesis import EVENTS
from tagxai.text.normalising import normalise


def hear(detector: EventDetector, generation: Generation) -> Heard:
    """The events of a clip at the detector's sample rate, the surest first."""
    strength = detector.strength(generation.waveform[:1].detach().cpu().float(), frames=min(3, generation.frames))[0]
    order = strength.argsort(descending=True).tolist()
    sounds = tuple(detector.events[i] for i in order if strength[i] > 0.5)
    prompt = parse(normalise(generation.prompt).text)
    if prompt is None:
        return Heard(sounds)
    absent = prompt.scene.absent
    return Heard(sounds, prompt.events, () if absent is None else (absent,))


def remarks(prompt: str) -> list[str]:
    """A sentence for a prompt that is not one of those that the embedded models understand; empty for the others."""
    text = normalise(prompt).text
    if not text or parse(text) is not None:
        return []
    strange, instead = unknown_words(text), suggest(text)
    names = shorten(", ".join(strange), 100, placeholder=" …")
    why = f"names what it does not know ({names})" if strange else "is worded as it never heard it"
    advice = (
        f"write {instead!r} instead"
        if instead is not None
        else f"its sounds are {', '.join(sorted(EVENTS))}, in sentences such as 'a dog barks while rain falls'"
    )
    given = shorten(text, 100, placeholder=" …")
    return [f"the embedded model may play anything for {given!r}, which {why}: {advice}"]
