"""What sounds are built of: tones on the codec's frame grid, struck resonances, envelopes and bands of noise."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagxai.laboratory import FRAME_RATE, HOP, SAMPLE_RATE

Rng = np.random.Generator
Wave = NDArray[np.floating]


class Sound(NamedTuple):
    """A sound's two parts, each `[samples]` at 16 kHz."""

    tonal: Wave
    noise: Wave

    @property
    def mix(self) -> Wave:
        return self.tonal + self.noise

    def scaled(self, gain: float | Wave) -> "Sound":
        return Sound(self.tonal * gain, self.noise * gain)


def tones(frequencies: np.ndarray, weights: Sequence[float]) -> Wave:
    """Harmonic tone whose fundamental (Hz, 0 for silence) is given per frame; phase restarts in every frame."""
    time = np.arange(HOP) / SAMPLE_RATE
    wave = np.zeros((len(frequencies), HOP))
    for harmonic, weight in enumerate(weights, start=1):
        pitch = frequencies * harmonic
        audible = (pitch > 0) & (pitch < 0.48 * SAMPLE_RATE)
        wave[audible] += weight * np.sin(2 * np.pi * pitch[audible, None] * time)
    return wave.reshape(-1)


def strikes(samples: int, onsets: Sequence[int], partials: Sequence[tuple[float, float, float]]) -> Wave:
    """Struck resonances: at each onset (frame) a sum of decaying partials `(Hz, weight, decay in s)`; the last strike
    rings."""
    wave = np.zeros(samples)
    for onset, following in zip(onsets, [*onsets[1:], None], strict=True):
        start, stop = onset * HOP, samples if following is None else following * HOP
        time = np.arange(stop - start) / SAMPLE_RATE
        wave[start:stop] = sum(w * np.sin(2 * np.pi * f * time) * np.exp(-time / decay) for f, w, decay in partials)
    return wave


def decays(samples: int, onsets: Sequence[int], decay: float, attack: float = 0.002) -> Wave:
    """Envelope `[samples]` that jumps up at each onset (frame) and dies away with `decay` (s)."""
    time = np.arange(samples) / SAMPLE_RATE
    envelope = np.zeros(samples)
    for onset in onsets:
        since = time - onset / FRAME_RATE
        rise = np.clip(since / attack, 0.0, 1.0)
        envelope = np.maximum(envelope, rise * np.exp(-np.maximum(since, 0.0) / decay))
    return envelope


def band_noise(samples: int, low: float, high: float, rng: Rng) -> Wave:
    """Gaussian noise of unit level between `low` and `high` Hz, with soft edges."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    pitch = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    spectrum *= 1 / (1 + (low / np.maximum(pitch, 1.0)) ** 4) / (1 + (pitch / high) ** 6)
    wave = np.fft.irfft(spectrum, samples)
    return wave / (wave.std() + 1e-9)


def muffle(wave: Wave) -> Wave:
    """A sound from a distance: 6 dB an octave less above 500 Hz."""
    spectrum = np.fft.rfft(wave)
    pitch = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum / np.sqrt(1 + (pitch / 500) ** 2), len(wave))
