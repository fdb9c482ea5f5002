"""Meters: which attribute a sound has, measured on the waveform, with thresholds taken from the sounds' own procedures.

Each kind of attribute is one number, so no trained judge is needed: level, brightness, pitch, change from frame to
frame, strikes. A level that is loud for a clock is not loud for a dog, so the boundary between the two values of a kind
lies half way between their medians over synthesised sounds of that event. The medians are of sounds rendered by the
codec, since its losses are no mistake of the model. The boundaries are kept with the weights (`meters.json`).
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from tagxai.laboratory import FRAME_RATE, HOP, SAMPLE_RATE, WEIGHTS
from tagxai.laboratory.sounds.styles import VALUES, AttributeKind, Style
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES, synthesise
from tagxai.laboratory.sounds.waves import Wave

Boundaries = dict[str, dict[str, dict[str, float]]]
"""The boundary between a kind's two values, by event, kind and number of frames."""

SLOT_FRAMES = (75, 37, 25)
"""Frames of a slot where the clip has one, two or three."""

FLOOR = 3e-3
"""Root mean square below which nothing is heard."""


def frames_of(wave: Wave, hop: int = HOP) -> Wave:
    """`[frames, hop]`."""
    return wave[: len(wave) // hop * hop].reshape(-1, hop)


def level(wave: Wave) -> float:
    """Level of the loudest frame, in dB."""
    return 20 * float(np.log10(np.sqrt((frames_of(wave) ** 2).mean(1)).max() + FLOOR))


def spectrum(wave: Wave) -> tuple[Wave, Wave]:
    """Frequencies (Hz) from 20 Hz and the power at each, summed over frames."""
    window = np.hanning(2048)
    pieces = np.lib.stride_tricks.sliding_window_view(np.pad(wave, 1024), 2048)[::512]
    power = (np.abs(np.fft.rfft(pieces * window)) ** 2).sum(0)
    pitch = np.fft.rfftfreq(2048, 1 / SAMPLE_RATE)
    return pitch[pitch > 20], power[pitch > 20]


def pitch(wave: Wave) -> float:
    """Mean height of the spectrum, in octaves, by amplitude."""
    frequency, power = spectrum(wave)
    weight = np.sqrt(power) * (power > power.max() * 1e-4)
    return float((np.log2(frequency) * weight).sum() / (weight.sum() + 1e-12))


def nearness(wave: Wave) -> float:
    """Level plus what lies above 1 kHz against what lies below, in dB: distance takes from both."""
    frequency, power = spectrum(wave)
    high, low = power[frequency > 1000].sum(), power[frequency <= 1000].sum()
    return level(wave) + 10 * float(np.log10((high + 1e-9) / (low + 1e-9)))


def change(wave: Wave) -> float:
    """Mean step of the spectrum's shape from one frame to the next: higher for what beats or glides faster."""
    pieces = np.abs(np.fft.rfft(frames_of(wave) * np.hanning(HOP)))
    bands = np.stack([part.sum(1) for part in np.array_split(pieces[:, 4:], 40, axis=1)], axis=1)
    shape = np.sqrt(bands / (bands.sum(1).max() + 1e-6))
    return float(np.abs(np.diff(shape, axis=0)).sum(1).mean())


def strikes(wave: Wave, rest: int = 16) -> int:
    """Onsets: where the envelope (10 ms) more than doubles within 50 ms, to at least 0.45 of its peak; after each,
    `rest` steps of 10 ms without another."""
    envelope = np.sqrt((frames_of(wave, SAMPLE_RATE // 100) ** 2).mean(1))
    envelope = np.pad(np.convolve(envelope, np.ones(3) / 3, mode="same"), (5, 0)) + 1e-4
    if envelope.max() < FLOOR:
        return 0
    rises = (envelope[5:] > 2 * envelope[:-5]) & (envelope[5:] > 0.45 * envelope.max())
    found, step = 0, 0
    while step < len(rises):
        found += int(rises[step])
        step += rest if rises[step] else 1
    return found


METERS: dict[AttributeKind, Callable[[Wave], float]] = {
    "level": level,
    "rate": change,
    "pitch": pitch,
    "distance": nearness,
    "count": strikes,
}


def calibrate(
    render: Callable[[Wave], Wave], sounds: int = 9, seed: int = 0, lengths: Sequence[int] = SLOT_FRAMES
) -> Boundaries:
    """The boundaries of every event and kind, for each length of a slot in frames.

    `render` returns clips `[clips, samples]` as the codec renders them.
    """
    rng = np.random.default_rng(seed)
    table: Boundaries = {}
    for event, kinds in ATTRIBUTES.items():
        for kind in kinds:
            if kind == "count":
                continue
            for frames in lengths:
                styles = [Style(**{kind: value}) for value in VALUES[kind] for _ in range(sounds)]
                waves = render(np.stack([synthesise(event, frames, rng, style).mix for style in styles]))
                measured = np.array([METERS[kind](wave) for wave in waves]).reshape(-1, sounds)
                middle = float(np.median(measured, axis=1).mean())
                table.setdefault(event, {}).setdefault(kind, {})[str(frames)] = round(middle, 5)
    return table


@cache
def boundaries(folder: Path = WEIGHTS) -> Boundaries:
    """The boundaries for the codec whose weights are in a folder."""
    return json.loads((folder / "meters.json").read_text())


def boundary(event: str, kind: AttributeKind, frames: int, table: Boundaries | None = None) -> float:
    """The boundary between a kind's two values, for an event in a stretch of about `frames` codec frames."""
    lengths = (table or boundaries())[event][kind]
    return lengths[min(lengths, key=lambda length: abs(int(length) - frames))]


def value_of(event: str, kind: AttributeKind, wave: Wave, table: Boundaries | None = None) -> str:
    """The value of a kind that an event has in a stretch of sound that contains nothing else."""
    measured = METERS[kind](wave)
    if kind == "count":
        return {1: "once", 2: "twice", 3: "three times"}.get(int(measured), f"{int(measured)} times")
    frames = round(len(wave) / SAMPLE_RATE * FRAME_RATE)
    return VALUES[kind][0 if measured > boundary(event, kind, frames, table) else 1]
