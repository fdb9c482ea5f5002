"""Three-second clips: up to three events, one after another, at the same time, or both."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from tagxai.laboratory import CLIP_FRAMES, CLIP_SECONDS, FRAME_RATE, HOP, SAMPLE_RATE
from tagxai.laboratory.sounds.styles import Style
from tagxai.laboratory.sounds.synthesis import synthesise
from tagxai.laboratory.sounds.waves import Rng, Sound

Form = Literal["single", "while", "followed", "sequence", "layered"]
FORMS: tuple[Form, ...] = get_args(Form)

SLOTS: dict[Form, tuple[int, ...]] = {
    "single": (0,),
    "while": (0, 0),
    "followed": (0, 1),
    "sequence": (0, 1, 2),
    "layered": (0, 0, 1),
}
"""The slot of each event, in order of sounding. Events of one slot sound together; slots share the clip evenly, to
within 0.1 s."""

AUDIBLE = 0.05
"""An event is audible in a frame that has at least this share of the root mean square of the event's loudest frame."""


class RenderedClip(NamedTuple):
    """A rendered clip, where each of its events may sound (seconds), and in which frames it is audible.

    `intervals` has one pair per event in the events' order, `audible` is `[events, frames]`.
    """

    sound: Sound
    intervals: tuple[tuple[float, float], ...]
    audible: np.ndarray

    @property
    def waveform(self) -> np.ndarray:
        """`[samples]`, float32, within -1 and 1."""
        return np.clip(self.sound.mix, -1.0, 1.0).astype(np.float32)


def intervals(form: Form, boundaries: Sequence[float] | None = None) -> list[tuple[float, float]]:
    """The span of each event in seconds; `boundaries` between slots are even by default."""
    count = max(SLOTS[form]) + 1
    inner = [CLIP_SECONDS * slot / count for slot in range(1, count)] if boundaries is None else boundaries
    edges = [0.0, *inner, CLIP_SECONDS]
    return [(edges[slot], edges[slot + 1]) for slot in SLOTS[form]]


def render(form: Form, events: Sequence[str], rng: Rng, styles: Sequence[Style] | None = None) -> RenderedClip:
    """The clip for `events` in the order of their sounding, each in its style."""
    even = [edge for edge, _ in intervals(form) if edge > 0]
    frames = sorted({round(edge * FRAME_RATE) for edge in even})
    spans = intervals(form, [(frame + int(rng.integers(-2, 3))) / FRAME_RATE for frame in frames])
    total = Sound(np.zeros(CLIP_FRAMES * HOP), np.zeros(CLIP_FRAMES * HOP))
    audible = np.zeros((len(events), CLIP_FRAMES), dtype=bool)
    fade = np.linspace(1.0, 0.0, SAMPLE_RATE // 50)
    styles = styles or [Style()] * len(events)
    for row, (event, style, (start, stop)) in enumerate(zip(events, styles, spans, strict=True)):
        first, last = round(start * FRAME_RATE), round(stop * FRAME_RATE)
        sound = synthesise(event, last - first, rng, style)
        if last < CLIP_FRAMES:
            for part in sound:
                part[-len(fade) :] *= fade
        for whole, part in zip(total, sound, strict=True):
            whole[first * HOP : last * HOP] += part
        level = np.sqrt((sound.mix.reshape(-1, HOP) ** 2).mean(axis=1))
        audible[row, first:last] = level > AUDIBLE * level.max()
    peak = np.abs(total.mix).max()
    return RenderedClip(total.scaled(min(1.0, 0.98 / (peak + 1e-9))), tuple(spans), audible)
