"""Three-second clips: one event, two at once, or one followed by another."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tagxai.tiny import CLIP_FRAMES, CLIP_SECONDS, FRAME_RATE, HOP, SAMPLE_RATE
from tagxai.tiny.sounds import Rng, Sound, synthesise

FORMS = ("single", "while", "followed")

BOUNDARY = 1.5
"""Where the second event of a `followed` clip takes over, in seconds, give or take 0.1."""

AUDIBLE = 0.05
"""An event is audible in a frame that has at least this share of the root mean square of the event's loudest frame."""


class Clip(NamedTuple):
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


def intervals(form: str, boundary: float = BOUNDARY, duration: float = CLIP_SECONDS) -> list[tuple[float, float]]:
    """The span of each event in seconds."""
    whole = (0.0, duration)
    spans = {"single": [whole], "while": [whole, whole], "followed": [(0.0, boundary), (boundary, duration)]}
    return spans[form]


def render(form: str, events: Sequence[str], rng: Rng, frames: int = CLIP_FRAMES) -> Clip:
    """The clip for `events` (one for `single`, two in order for the others)."""
    boundary = round(frames / 2 + 0.25) + int(rng.integers(-2, 3))
    spans = intervals(form, boundary / FRAME_RATE, frames / FRAME_RATE)
    total = Sound(np.zeros(frames * HOP), np.zeros(frames * HOP))
    audible = np.zeros((len(events), frames), dtype=bool)
    fade = np.linspace(1.0, 0.0, SAMPLE_RATE // 50)
    for row, (event, (start, stop)) in enumerate(zip(events, spans, strict=True)):
        first, last = round(start * FRAME_RATE), round(stop * FRAME_RATE)
        sound = synthesise(event, last - first, rng).scaled(0.85 if form == "while" else 1.0)
        if last < frames:
            for part in sound:
                part[-len(fade) :] *= fade
        for whole, part in zip(total, sound, strict=True):
            whole[first * HOP : last * HOP] += part
        level = np.sqrt((sound.mix.reshape(-1, HOP) ** 2).mean(axis=1))
        audible[row, first:last] = level > AUDIBLE * level.max()
    peak = np.abs(total.mix).max()
    return Clip(total.scaled(min(1.0, 0.95 / (peak + 1e-9))), tuple(spans), audible)
