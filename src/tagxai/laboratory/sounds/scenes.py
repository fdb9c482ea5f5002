"""Scenes: which events sound when and how, before any words describe them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tagxai.laboratory.sounds.clips import FORMS, Form, RenderedClip, intervals, render
from tagxai.laboratory.sounds.splits import Split, combinations, split_of
from tagxai.laboratory.sounds.styles import VALUES, Style
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES, EVENTS
from tagxai.laboratory.sounds.waves import Rng

ROUND: tuple[Form, ...] = (
    "single", "while", "followed", "layered", "single", "while", "followed", "sequence",
    "single", "while", "followed", "layered", "while", "followed", "single", "followed",
)  # fmt: skip
"""The forms of a stream of scenes, one after another."""

STYLED, NEGATED = 0.5, 0.25
"""Share of events with an attribute, and of scenes of one or two events that name an event to be absent."""


@dataclass(frozen=True)
class Scene:
    """Events in the order of their sounding, the style of each, and an event that is named to be absent, if any."""

    form: Form
    events: tuple[str, ...]
    styles: tuple[Style, ...]
    absent: str | None = None

    def render(self, rng: Rng) -> RenderedClip:
        return render(self.form, self.events, rng, self.styles)


def draw_style(event: str, seconds: float, rng: Rng) -> Style:
    """A style with one attribute that the event can take, or none; counts need time."""
    kinds = [kind for kind in ATTRIBUTES[event] if kind != "count" or seconds > 1.2]
    if rng.random() >= STYLED:
        return Style()
    kind = kinds[rng.integers(len(kinds))]
    return Style(**{kind: str(rng.choice(VALUES[kind]))})


def scenes(split: Split, seed: int | list[int], forms: tuple[Form, ...] = FORMS) -> Iterator[Scene]:
    """Endless scenes of a split: forms in rotation, and each form's event combinations in shuffled order."""
    rng = np.random.default_rng(seed)
    decks: dict[Form, list[tuple[str, ...]]] = {form: [] for form in forms}
    while True:
        for form in ROUND:
            if form not in decks:
                continue
            if not decks[form]:
                choices = combinations(form, split)
                decks[form] = [choices[i] for i in rng.permutation(len(choices))]
            events = decks[form].pop()
            styles = tuple(
                draw_style(event, stop - start, rng)
                for event, (start, stop) in zip(events, intervals(form), strict=True)
            )
            absent = None
            if len(events) < 3 and rng.random() < NEGATED:
                others = [name for name in EVENTS if name not in events and _may_be_absent(form, events, name, split)]
                absent = others[rng.integers(len(others))]
            yield Scene(form, events, styles, absent)


def _may_be_absent(form: Form, events: tuple[str, ...], name: str, split: Split) -> bool:
    if form == "single":  # held out by its wording, except for the pair of event and absent event
        return split_of(form, events, name) == split
    return split_of(form, events, name) == split and (split == "train" or split_of("single", events[:1], name) == split)
