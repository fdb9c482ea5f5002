"""Synthesis of one event: its procedure, at its natural level, with attributes that really change the sound.

An honest simplification: every tone sits on the codec's frame grid. Fundamentals are multiples of the frame rate (25
Hz), partials are multiples of 25 Hz too, and attacks start on frame boundaries with fixed phase, so that a steady
tone has the same waveform in every frame. A codec of 25 frames a second then need not carry phase, which is what
makes a codec of a few hundred thousand weights able to keep tones; recorded sounds are not like that.
"""

from collections.abc import Mapping

import numpy as np

from tagxai.laboratory import HOP
from tagxai.laboratory.sounds.procedures import SOUNDS
from tagxai.laboratory.sounds.styles import NATURAL, AttributeKind, Style
from tagxai.laboratory.sounds.waves import Rng, Sound, muffle

EVENTS: tuple[str, ...] = tuple(SOUNDS)

ATTRIBUTES: Mapping[str, tuple[AttributeKind, ...]] = {
    "dog": ("level", "rate", "distance", "count"),
    "rain": ("level", "distance"),
    "siren": ("level", "rate", "pitch", "distance"),
    "bell": ("level", "pitch", "distance", "count"),
    "clock": ("level", "rate"),
    "engine": ("level", "pitch", "distance"),
    "bird": ("level", "pitch"),
    "knock": ("level", "distance", "count"),
    "thunder": ("level", "distance"),
    "alarm": ("level", "rate", "pitch"),
    "wind": ("level",),
    "drum": ("level", "rate", "pitch", "count"),
    "cricket": ("level", "rate"),
    "whistle": ("level", "pitch"),
    "footsteps": ("level", "rate", "distance"),
    "glass": ("level", "distance", "count"),
    "waves": ("level", "distance"),
    "buzz": ("level", "pitch"),
    "laser": ("level", "rate", "count"),
    "phone": ("level", "pitch"),
}
"""The kinds of attribute that each event can take."""

GAINS = {"loud": 6.0, "quiet": -6.0, "near": 3.0, "far": -6.0}
"""Gain of a level or distance, in dB; far sounds are muffled as well."""

# Root mean square of the loudest frame, by ear and by meter: noise and steady tones carry further than short clicks.
LEVELS = {
    "dog": 0.17, "rain": 0.08, "siren": 0.11, "bell": 0.14, "clock": 0.1,
    "engine": 0.16, "bird": 0.12, "knock": 0.16, "thunder": 0.19, "alarm": 0.11,
    "wind": 0.16, "drum": 0.2, "cricket": 0.09, "whistle": 0.12, "footsteps": 0.18,
    "glass": 0.13, "waves": 0.12, "buzz": 0.12, "laser": 0.13, "phone": 0.12,
}  # fmt: skip


def synthesise(event: str, frames: int, rng: Rng, style: Style = NATURAL) -> Sound:
    """One event over `frames` codec frames at its natural level, to within 1 dB, in its style."""
    sound = SOUNDS[event](frames, rng, style)
    if style.distance == "far":
        sound = Sound(muffle(sound.tonal), muffle(sound.noise))
    loudest = np.sqrt((sound.mix.reshape(frames, HOP) ** 2).mean(axis=1).max()) + 1e-9
    decibels = rng.uniform(-1, 1) + sum(GAINS.get(value, 0.0) for value in style.chosen().values())
    return sound.scaled(LEVELS[event] / loudest * 10 ** (decibels / 20))
