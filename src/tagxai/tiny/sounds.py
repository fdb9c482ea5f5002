"""Ten everyday sounds as small procedures with natural variation: level, pitch, rate, timing and noise.

An honest simplification: every tone sits on the codec's frame grid. Fundamentals are multiples of the frame rate (25
Hz), partials are multiples of 25 Hz too, and attacks start on frame boundaries with fixed phase, so that a steady
tone has the same waveform in every frame. A codec of 25 frames a second then need not carry phase, which is what
makes a codec of a few hundred thousand weights able to keep tones; recorded sounds are not so kind.

Every procedure returns the tonal and the noisy part apart, because only the former has a waveform worth matching
sample by sample; `tonal + noise` is the sound.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tagxai.tiny import FRAME_RATE, HOP, SAMPLE_RATE

Rng = np.random.Generator
Wave = np.ndarray


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


def beats(frames: int, period: int, rng: Rng, first: int = 3, jitter: int = 0) -> list[int]:
    """Onsets (frames): one every `period`, the first within `first` frames, each moved by up to `jitter`."""
    regular = range(int(rng.integers(0, first + 1)), frames - 2, period)
    return sorted({int(np.clip(beat + rng.integers(-jitter, jitter + 1), 0, frames - 3)) for beat in regular})


def dog(frames: int, rng: Rng) -> Sound:
    """Barks of 0.16 s: a rough gliding voice of 350-600 Hz with a breath of noise."""
    base = 25 * rng.integers(16, 21)
    pitch, barks = np.zeros(frames), beats(frames, int(rng.integers(9, 13)), rng, jitter=1)
    for bark in barks:
        glide = base + np.array([0, 100, 50, -50])
        pitch[bark : bark + 4] = glide[: frames - bark]
    envelope = decays(frames * HOP, barks, 0.09, attack=0.01) * (np.repeat(pitch, HOP) > 0)
    voice = tones(pitch, [0.7, 1.0, 0.9, 0.6, 0.4, 0.3, 0.2, 0.15])
    return Sound(voice * envelope, 0.25 * band_noise(frames * HOP, 600, 3000, rng) * envelope)


def rain(frames: int, rng: Rng) -> Sound:
    """A steady hiss above 1.5 kHz with drops that stand out."""
    samples = frames * HOP
    drops = decays(samples, sorted(rng.integers(0, frames, frames // 4)), 0.012)
    hiss = band_noise(samples, 1800, 7500, rng) * (1 + 1.2 * drops)
    return Sound(np.zeros(samples), hiss)


def siren(frames: int, rng: Rng) -> Sound:
    """A wail that climbs and falls between about 500 and 1200 Hz in steps of one frame."""
    low, steps = 25 * rng.integers(20, 25), int(rng.integers(9, 13))
    phase = (np.arange(frames) + rng.integers(0, 2 * steps)) % (2 * steps)
    pitch = low + 50 * np.minimum(phase, 2 * steps - phase)
    return Sound(tones(pitch, [1.0, 0.6, 0.45, 0.3, 0.2, 0.1]), np.zeros(frames * HOP))


def bell(frames: int, rng: Rng) -> Sound:
    """Strikes with long inharmonic partials."""
    base = 100 * rng.integers(8, 11)
    onsets = beats(frames, int(rng.integers(16, 23)), rng)
    ratios = [(1.0, 1.0, 0.6), (2.25, 0.8, 0.45), (3.5, 0.5, 0.3), (5.25, 0.35, 0.15)]
    partials = [(base * ratio, weight, decay) for ratio, weight, decay in ratios]
    return Sound(strikes(frames * HOP, onsets, partials), np.zeros(frames * HOP))


def clock(frames: int, rng: Rng) -> Sound:
    """Dry clicks, tick and tock by turns, two to three a second."""
    samples, ticks = frames * HOP, beats(frames, int(rng.integers(8, 12)), rng)
    tick = strikes(samples, ticks, [(2400, 1.0, 0.012), (3700, 0.8, 0.008), (5200, 0.6, 0.006)])
    tock = strikes(samples, ticks, [(1800, 1.0, 0.014), (2900, 0.8, 0.009), (4300, 0.6, 0.006)])
    odd = np.zeros(frames)
    for index, onset in enumerate(ticks):
        odd[onset:] = index % 2
    clicks = np.where(np.repeat(odd, HOP) > 0, tock, tick)
    return Sound(clicks, 0.3 * band_noise(samples, 2000, 7000, rng) * decays(samples, ticks, 0.005))


def engine(frames: int, rng: Rng) -> Sound:
    """A motor's hum of 50-100 Hz, rich in harmonics, that chugs, with a low rattle."""
    pitch = np.full(frames, 25 * rng.integers(2, 5))
    chug = 1.0 - 0.5 * ((np.arange(frames) + rng.integers(0, 2)) % 2)
    hum = tones(pitch, [1 / (h**0.6) for h in range(1, 15)])
    rattle = 0.3 * band_noise(frames * HOP, 80, 600, rng)
    return Sound(hum, rattle).scaled(np.repeat(chug, HOP))


def bird(frames: int, rng: Rng) -> Sound:
    """Songs of three or four chirps that jump between 3 and 5 kHz."""
    pitch, base = np.zeros(frames), 250 * rng.integers(12, 15)
    for song in beats(frames, int(rng.integers(13, 18)), rng, jitter=1):
        for chirp in range(song, song + 3 * int(rng.integers(3, 5)), 3):
            pitch[chirp : chirp + 2] = (base + np.array([0, 1000]))[: max(0, frames - chirp)]
    swell = np.sin(np.pi * (np.arange(HOP) + 0.5) / HOP) ** 0.5
    return Sound(tones(pitch, [1.0, 0.25]) * np.tile(swell, frames), np.zeros(frames * HOP))


def knock(frames: int, rng: Rng) -> Sound:
    """Three quick thuds on wood, a pause, three more."""
    gap = int(rng.integers(4, 6))
    starts = beats(frames, int(rng.integers(21, 27)), rng)
    thuds = [start + gap * k for start in starts for k in range(3) if start + gap * k < frames - 1]
    wood = strikes(frames * HOP, thuds, [(175, 1.0, 0.035), (325, 0.9, 0.03), (550, 0.7, 0.02), (900, 0.4, 0.012)])
    return Sound(wood, 0.35 * band_noise(frames * HOP, 150, 1500, rng) * decays(frames * HOP, thuds, 0.01))


def thunder(frames: int, rng: Rng) -> Sound:
    """A crack, then a low roll that dies away within a second or two."""
    samples, claps = frames * HOP, beats(frames, int(rng.integers(34, 46)), rng, first=4)
    rolling = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(3, 6) * np.arange(samples) / SAMPLE_RATE + rng.uniform(0, 6))
    roll = band_noise(samples, 40, 220, rng) * decays(samples, claps, 0.7, attack=0.05) * rolling
    crack = 0.8 * band_noise(samples, 150, 2500, rng) * decays(samples, claps, 0.09)
    return Sound(np.zeros(samples), roll + crack)


def alarm(frames: int, rng: Rng) -> Sound:
    """Electronic beeps near 2 kHz, as long as the pauses between them."""
    length, pitch = int(rng.integers(3, 5)), 25 * rng.integers(76, 85)
    on = (np.arange(frames) + rng.integers(0, 2 * length)) // length % 2 == 0
    return Sound(tones(pitch * on, [1.0, 0.25, 0.5]), np.zeros(frames * HOP))


SOUNDS: dict[str, Callable[[int, Rng], Sound]] = {
    sound.__name__: sound for sound in (dog, rain, siren, bell, clock, engine, bird, knock, thunder, alarm)
}
EVENTS: tuple[str, ...] = tuple(SOUNDS)

# Root mean square of the loudest frame, by ear and by meter: noise and steady tones carry further than short clicks.
LEVELS = {
    "dog": 0.22, "rain": 0.09, "siren": 0.13, "bell": 0.18, "clock": 0.12,
    "engine": 0.2, "bird": 0.16, "knock": 0.2, "thunder": 0.24, "alarm": 0.14,
}  # fmt: skip


def synthesise(event: str, frames: int, rng: Rng) -> Sound:
    """One event over `frames` codec frames at its natural level, give or take 2.5 dB."""
    sound = SOUNDS[event](frames, rng)
    loudest = np.sqrt((sound.mix.reshape(frames, HOP) ** 2).mean(axis=1).max()) + 1e-9
    return sound.scaled(LEVELS[event] / loudest * 10 ** (rng.uniform(-2.5, 2.5) / 20))
