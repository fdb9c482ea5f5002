"""What a page is about: one clip, attributions of it, and sounds to hear beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import Any

from tagxai.contract.attribution import Attribution
from tagxai.contract.values import Generation
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.editing import Edit
from tagxai.explaining.explanation import Explanation, Interval
from tagxai.explaining.kept_answers import Answer
from tagxai.explaining.listening import Track, TrackKind
from tagxai.lazy import Float, torch

QUESTION = "Which words made this sound?"

TRACKS: dict[TrackKind, tuple[str, str]] = {
    "factual": (
        "Factual",
        "Generated again with only what the explanation keeps. If it is right, the clip's sounds are still here.",
    ),
    "counterfactual": (
        "Counterfactual",
        "Generated again without what the explanation keeps. If it is right, the clip's sounds are gone or weaker.",
    ),
    "unconditional": ("Unconditional", "Generated with no prompt at all: what the model makes up by itself."),
}


@dataclass(frozen=True, eq=False)
class Sound:
    """A clip that the reader can choose; `file` is the name under which it is downloaded."""

    title: str
    text: str
    file: str
    waveform: Float[torch.Tensor, "channels samples"]
    sample_rate: int


@dataclass(frozen=True, eq=False)
class Content:
    """What a page shows. `gains` hold a factor for each token of an edited prompt."""

    clip: Generation
    attributions: Mapping[str, Attribution]
    sounds: Sequence[Sound]
    heading: str = QUESTION
    intervals: Sequence[Interval] = ()
    comparison: Comparison | None = None
    gains: Sequence[float] | None = None
    heard: str = ""
    answers: Sequence[Answer] = ()
    details: Sequence[tuple[str, str]] = field(default_factory=tuple)


@singledispatch
def content_of(value: Any) -> Content:
    """The page's content for a clip, an attribution, an explanation, a comparison or an edit."""
    raise TypeError(f"a page shows clips and explanations, not {type(value).__name__}")


@content_of.register
def _(clip: Generation) -> Content:
    return Content(clip, {}, [original(clip)], heading="A clip and its prompt")


@content_of.register
def _(attribution: Attribution) -> Content:
    return content_of(Explanation(attribution))


@content_of.register
def _(explanation: Explanation) -> Content:
    attribution = explanation.attribution
    sounds = [original(attribution.generation), *(track_sound(track) for track in explanation.tracks)]
    intervals = tuple(explanation.intervals)
    attributions = {attribution.method: attribution}
    return Content(attribution.generation, attributions, sounds, intervals=intervals, heard=explanation.heard)


@content_of.register
def _(comparison: Comparison) -> Content:
    sounds = [original(comparison.generation)]
    for name, explanation in comparison.explanations.items():
        own = [track for track in explanation.tracks if track.kind != "unconditional"]
        sounds += [track_sound(track, name) for track in own]
    every = [track for each in comparison.explanations.values() for track in each.tracks]
    without = next((track for track in every if track.kind == "unconditional"), None)
    sounds += [track_sound(without)] if without is not None else []
    attributions = {name: each.attribution for name, each in comparison.explanations.items()}
    heard = next(iter(comparison.explanations.values())).heard
    return Content(
        comparison.generation,
        attributions,
        sounds,
        intervals=comparison.intervals,
        comparison=comparison,
        heard=heard,
    )


@content_of.register
def _(edit: Edit) -> Content:
    sounds = []
    for take in edit.takes:
        number = f", seed {take.plain.seed}" if len(edit.takes) > 1 else ""
        change = f"{take.level_change:+.1f} dB".replace("-", "−") + (f"; {take.change}" if take.change else "")
        plain = original(take.plain, f"What {take.plain.generator} made from the prompt as it is.")
        sounds.append(replace(plain, title=f"Original{number}", file=f"original-{take.plain.seed}"))
        text = f"The same seed with the gains that the prompt shows; {change}."
        edited = take.edited
        sounds.append(Sound(f"Edited{number}", text, f"edited-{edited.seed}", edited.waveform, edited.sample_rate))
    heading = "What changes when words act more, or less?"
    given = ", ".join(f"{text} {gain:g}" for text, gain in edit.gains.items())
    return Content(edit.generation, {}, sounds, heading=heading, gains=edit.token_gains, details=[("gains", given)])


def original(clip: Generation, text: str | None = None) -> Sound:
    text = text or f"What {clip.generator} made from the prompt: the clip that is explained."
    return Sound("Original", text, "original", clip.waveform, clip.sample_rate)


def track_sound(track: Track, method: str | None = None) -> Sound:
    title, text = TRACKS[track.kind]
    number = track.name.removeprefix(track.kind).lstrip("-")
    title = f"{title} {number}".strip() + (f", {method}" if method else "")
    file = f"{method}-{track.name}" if method else track.name
    return Sound(title, text, file, track.waveform, track.sample_rate)
