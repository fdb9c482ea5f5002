"""Twenty everyday sounds as small procedures with natural variation, and attributes that really change them.

An honest simplification: every tone sits on the codec's frame grid. Fundamentals are multiples of the frame rate (25
Hz), partials are multiples of 25 Hz too, and attacks start on frame boundaries with fixed phase, so that a steady
tone has the same waveform in every frame. A codec of 25 frames a second then need not carry phase, which is what
makes a codec of a few hundred thousand weights able to keep tones; recorded sounds are not so kind.

Every procedure returns the tonal and the noisy part apart, because only the former has a waveform worth matching
sample by sample; `tonal + noise` is the sound. Which attributes a sound can take is in `ATTRIBUTES`; a procedure reads
rate, pitch and count from its `Style`, while level and distance are applied to the finished sound by `synthesise`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from tagxai.laboratory import FRAME_RATE, HOP, SAMPLE_RATE

Kind = Literal["level", "rate", "pitch", "distance", "count"]

VALUES: dict[Kind, tuple[str, ...]] = {
    "level": ("loud", "quiet"),
    "rate": ("fast", "slow"),
    "pitch": ("high", "low"),
    "distance": ("near", "far"),
    "count": ("once", "twice", "three times"),
}
"""What an attribute of each kind can be."""

GAINS = {"loud": 6.0, "quiet": -6.0, "near": 3.0, "far": -6.0}
"""Of level and distance, in dB; what is far is muffled besides."""

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


@dataclass(frozen=True)
class Style:
    """How a sound sounds: a value of `VALUES` per kind, or None for the sound's own nature."""

    level: str | None = None
    rate: str | None = None
    pitch: str | None = None
    distance: str | None = None
    count: str | None = None

    def chosen(self) -> dict[Kind, str]:
        """The attributes that are set."""
        return {kind: value for kind in VALUES if (value := getattr(self, kind)) is not None}

    def pace(self, rng: Rng, slow: tuple[int, int], natural: tuple[int, int], fast: tuple[int, int]) -> int:
        """A period in frames from the (first, last) that belongs to the rate."""
        low, high = {"slow": slow, "fast": fast}.get(self.rate or "", natural)
        return int(rng.integers(low, high + 1))

    def tone(self, rng: Rng, low: Sequence[int], natural: Sequence[int], high: Sequence[int]) -> int:
        """One of the pitches (Hz) that belong to the attribute."""
        return int(rng.choice({"low": low, "high": high}.get(self.pitch or "", natural)))


def beats(frames: int, period: int, rng: Rng, style: Style = Style(), first: int = 3, jitter: int = 0) -> list[int]:
    """Onsets (frames): one every `period`, the first within `first` frames, each moved by up to `jitter`.

    A count spreads its few evenly over the frames instead, so that no place is left where one more could follow.
    """
    if style.count is not None:
        wanted = VALUES["count"].index(style.count) + 1
        shift = int(rng.integers(-2, 3))
        return [round(frames * (strike + 0.5) / wanted) - 2 + shift for strike in range(wanted)]
    regular = range(int(rng.integers(0, first + 1)), frames - 2, period)
    return sorted({int(np.clip(beat + rng.integers(-jitter, jitter + 1), 0, frames - 3)) for beat in regular})


def hits(frames: int, onsets: Sequence[int], lengths: int = 1) -> np.ndarray:
    """Whether each frame lies within `lengths` frames of an onset `[frames]`."""
    on = np.zeros(frames, dtype=bool)
    for onset in onsets:
        on[onset : onset + lengths] = True
    return on


def dog(frames: int, rng: Rng, style: Style) -> Sound:
    """Barks of 0.16 s: a rough gliding voice of 350-600 Hz with a breath of noise."""
    base = 25 * rng.integers(16, 21)
    barks = beats(frames, style.pace(rng, (15, 18), (9, 12), (5, 6)), rng, style, jitter=int(style.rate is None))
    pitch = np.zeros(frames)
    for bark in barks:
        glide = base + np.array([0, 100, 50, -50])
        pitch[bark : bark + 4] = glide[: frames - bark]
    envelope = decays(frames * HOP, barks, 0.09, attack=0.01) * (np.repeat(pitch, HOP) > 0)
    voice = tones(pitch, [0.7, 1.0, 0.9, 0.6, 0.4, 0.3, 0.2, 0.15])
    return Sound(voice * envelope, 0.25 * band_noise(frames * HOP, 600, 3000, rng) * envelope)


def rain(frames: int, rng: Rng, style: Style) -> Sound:
    """A steady hiss above 1.8 kHz with drops that stand out."""
    samples = frames * HOP
    drops = decays(samples, sorted(rng.integers(0, frames, frames // 4)), 0.012)
    hiss = band_noise(samples, 1800, 7500, rng) * (1 + 1.2 * drops)
    return Sound(np.zeros(samples), hiss)


def siren(frames: int, rng: Rng, style: Style) -> Sound:
    """A wail that climbs and falls in steps of one frame, by about an octave."""
    low = style.tone(rng, (250, 300), (500, 550), (900, 950))
    steps = style.pace(rng, (16, 18), (9, 11), (4, 5))
    phase = (np.arange(frames) + rng.integers(0, 2 * steps)) % (2 * steps)
    pitch = low + 50 * np.round(10 * np.minimum(phase, 2 * steps - phase) / steps)
    return Sound(tones(pitch, [1.0, 0.6, 0.45, 0.3, 0.2, 0.1]), np.zeros(frames * HOP))


def bell(frames: int, rng: Rng, style: Style) -> Sound:
    """Strikes with long inharmonic partials."""
    base = style.tone(rng, (400, 500), (700, 800), (1200, 1300))
    onsets = beats(frames, int(rng.integers(16, 23)), rng, style)
    ratios = [(1.0, 1.0, 0.5), (2.25, 0.8, 0.35), (3.5, 0.5, 0.2), (5.25, 0.35, 0.1)]
    partials = [(base * ratio, weight, decay) for ratio, weight, decay in ratios if base * ratio < 7000]
    return Sound(strikes(frames * HOP, onsets, partials), np.zeros(frames * HOP))


def clock(frames: int, rng: Rng, style: Style) -> Sound:
    """Dry clicks, tick and tock by turns."""
    samples, ticks = frames * HOP, beats(frames, style.pace(rng, (16, 18), (9, 11), (4, 5)), rng)
    tick = strikes(samples, ticks, [(2400, 1.0, 0.012), (3700, 0.8, 0.008), (5200, 0.6, 0.006)])
    tock = strikes(samples, ticks, [(1800, 1.0, 0.014), (2900, 0.8, 0.009), (4300, 0.6, 0.006)])
    odd = np.zeros(frames)
    for index, onset in enumerate(ticks):
        odd[onset:] = index % 2
    clicks = np.where(np.repeat(odd, HOP) > 0, tock, tick)
    return Sound(clicks, 0.3 * band_noise(samples, 2000, 7000, rng) * decays(samples, ticks, 0.005))


def engine(frames: int, rng: Rng, style: Style) -> Sound:
    """A motor's hum, rich in harmonics, that chugs, with a low rattle."""
    pitch = np.full(frames, style.tone(rng, (25, 25), (75, 75), (150, 175)))
    chug = 1.0 - 0.5 * ((np.arange(frames) + rng.integers(0, 2)) % 2)
    hum = tones(pitch, [1 / (h**0.6) for h in range(1, 15)])
    rattle = 0.3 * band_noise(frames * HOP, 80, 600, rng)
    return Sound(hum, rattle).scaled(np.repeat(chug, HOP))


def bird(frames: int, rng: Rng, style: Style) -> Sound:
    """Songs of three or four chirps that jump up by 500 Hz."""
    pitch, base = np.zeros(frames), style.tone(rng, (1000, 1100), (1700, 1800), (2400, 2500))
    for song in beats(frames, int(rng.integers(13, 18)), rng, jitter=1):
        for chirp in range(song, song + 3 * int(rng.integers(3, 5)), 3):
            pitch[chirp : chirp + 2] = (base + np.array([0, 500]))[: max(0, frames - chirp)]
    swell = np.sin(np.pi * (np.arange(HOP) + 0.5) / HOP) ** 0.5
    return Sound(tones(pitch, [1.0, 0.25]) * np.tile(swell, frames), np.zeros(frames * HOP))


def knock(frames: int, rng: Rng, style: Style) -> Sound:
    """Thuds on wood: three quick ones, a pause, three more; or as many as asked."""
    gap = int(rng.integers(4, 6))
    starts = beats(frames, int(rng.integers(21, 27)), rng)
    thuds = [start + gap * k for start in starts for k in range(3) if start + gap * k < frames - 1]
    if style.count is not None:
        thuds = beats(frames, gap + 2, rng, style)
    wood = strikes(frames * HOP, thuds, [(175, 1.0, 0.035), (325, 0.9, 0.03), (550, 0.7, 0.02), (900, 0.4, 0.012)])
    return Sound(wood, 0.35 * band_noise(frames * HOP, 150, 1500, rng) * decays(frames * HOP, thuds, 0.01))


def thunder(frames: int, rng: Rng, style: Style) -> Sound:
    """A crack, then a low roll that dies away within a second or two."""
    samples, claps = frames * HOP, beats(frames, int(rng.integers(34, 46)), rng, first=4)
    rolling = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(3, 6) * np.arange(samples) / SAMPLE_RATE + rng.uniform(0, 6))
    roll = band_noise(samples, 40, 220, rng) * decays(samples, claps, 0.7, attack=0.05) * rolling
    crack = 0.8 * band_noise(samples, 150, 2500, rng) * decays(samples, claps, 0.09)
    return Sound(np.zeros(samples), roll + crack)


def alarm(frames: int, rng: Rng, style: Style) -> Sound:
    """Electronic beeps, as long as the pauses between them."""
    pitch = style.tone(rng, (500, 550), (900, 950), (1500, 1550))
    length = style.pace(rng, (8, 9), (4, 4), (2, 2))
    on = (np.arange(frames) + rng.integers(0, 2 * length)) // length % 2 == 0
    return Sound(tones(pitch * on, [1.0, 0.25, 0.5]), np.zeros(frames * HOP))


def wind(frames: int, rng: Rng, style: Style) -> Sound:
    """A low howl of noise, 120-800 Hz and most of it 250-450 Hz, in slow gusts."""
    samples = frames * HOP
    time = np.arange(samples) / SAMPLE_RATE
    gusts = 1 + 0.45 * np.sin(2 * np.pi * rng.uniform(0.5, 1.0) * time + rng.uniform(0, 6))
    howl = band_noise(samples, 250, 450, rng) + 0.4 * band_noise(samples, 120, 800, rng)
    return Sound(np.zeros(samples), howl * gusts)


def drum(frames: int, rng: Rng, style: Style) -> Sound:
    """Deep beats at a steady rate: a skin that rings for a tenth of a second."""
    base = style.tone(rng, (50, 50), (100, 100), (200, 250))
    onsets = beats(frames, style.pace(rng, (15, 18), (9, 11), (4, 5)), rng, style)
    skin = strikes(frames * HOP, onsets, [(base, 1.0, 0.12), (1.5 * base, 0.5, 0.08), (2.5 * base, 0.25, 0.04)])
    return Sound(skin, 0.15 * band_noise(frames * HOP, 100, 900, rng) * decays(frames * HOP, onsets, 0.02))


def cricket(frames: int, rng: Rng, style: Style) -> Sound:
    """Trills of three narrow pulses near 4.5 kHz, one in every second frame, with a pause between trills."""
    samples, trills = frames * HOP, beats(frames, style.pace(rng, (17, 19), (10, 11), (6, 6)), rng)
    pulses = sorted({trill + 2 * k for trill in trills for k in range(3) if trill + 2 * k < frames})
    pulse = np.sin(np.pi * (np.arange(HOP) + 0.5) / HOP) ** 0.5
    envelope = np.repeat(hits(frames, pulses), HOP) * np.tile(pulse, frames)
    return Sound(np.zeros(samples), band_noise(samples, 4300, 4700, rng) * envelope)


def whistle(frames: int, rng: Rng, style: Style) -> Sound:
    """Someone's whistle: long clear notes that slide up by 200 Hz."""
    base, pitch = style.tone(rng, (500, 550), (900, 950), (1500, 1550)), np.zeros(frames)
    length = int(rng.integers(13, 16))
    for note in beats(frames, length + 5, rng):
        slide = base + 50 * np.minimum(np.arange(length), 4)
        pitch[note : note + length] = slide[: frames - note]
    return Sound(tones(pitch, [1.0, 0.08]), np.zeros(frames * HOP))


def footsteps(frames: int, rng: Rng, style: Style) -> Sound:
    """Crunching steps, heel and sole."""
    samples, steps = frames * HOP, beats(frames, style.pace(rng, (17, 19), (11, 13), (6, 7)), rng)
    heel = band_noise(samples, 120, 500, rng) * decays(samples, steps, 0.025)
    soles = [step + 2 for step in steps if step + 2 < frames]
    sole = 0.7 * band_noise(samples, 900, 2600, rng) * decays(samples, soles, 0.04, attack=0.02)
    return Sound(np.zeros(samples), heel + sole)


def glass(frames: int, rng: Rng, style: Style) -> Sound:
    """Glass that shatters: a burst above 3 kHz and the tinkle of falling pieces."""
    samples, breaks = frames * HOP, beats(frames, int(rng.integers(19, 24)), rng, style)
    pieces = sorted({min(frames - 1, onset + int(rng.integers(2, 8))) for onset in breaks for _ in range(3)})
    burst = band_noise(samples, 3000, 7600, rng) * decays(samples, breaks, 0.06)
    tinkle = 0.35 * band_noise(samples, 5200, 6400, rng) * decays(samples, pieces, 0.03)
    return Sound(np.zeros(samples), burst + tinkle)


def waves(frames: int, rng: Rng, style: Style) -> Sound:
    """Surf: broad noise that swells and breaks every second or so."""
    samples, period = frames * HOP, rng.uniform(1.0, 1.4)
    phase = (np.arange(samples) / SAMPLE_RATE / period + rng.uniform(0, 1)) % 1
    swell = np.where(phase < 0.7, (phase / 0.7) ** 2, ((1 - phase) / 0.3) ** 1.0)
    return Sound(np.zeros(samples), band_noise(samples, 400, 2200, rng) * (0.08 + swell))


def buzz(frames: int, rng: Rng, style: Style) -> Sound:
    """A bee: a steady rough tone with many harmonics, that comes and goes a little."""
    pitch = style.tone(rng, (125, 125), (225, 250), (400, 425))
    wobble = 1 + 0.3 * np.sin(2 * np.pi * np.arange(frames) / rng.uniform(5, 9) + rng.uniform(0, 6))
    saw = tones(np.full(frames, pitch), [1 / h for h in range(1, 17)])
    return Sound(saw * np.repeat(wobble, HOP), np.zeros(frames * HOP))


def laser(frames: int, rng: Rng, style: Style) -> Sound:
    """Zaps: a tone that falls from 2 kHz to 400 Hz within a fifth of a second."""
    pitch = np.zeros(frames)
    for zap in beats(frames, style.pace(rng, (15, 17), (9, 11), (6, 6)), rng, style):
        fall = np.array([2000, 1400, 1000, 700, 400])
        pitch[zap : zap + 5] = fall[: frames - zap]
    return Sound(tones(pitch, [1.0, 0.5, 0.33]), np.zeros(frames * HOP))


def phone(frames: int, rng: Rng, style: Style) -> Sound:
    """An electric ring that warbles between two tones, on for half a second and off for a third."""
    low, rest = style.tone(rng, (350, 350), (700, 750), (1200, 1250)), np.zeros(frames)
    for ring in beats(frames, 21, rng):
        warble = np.where(np.arange(13) % 2 == 0, low, low + 200)
        rest[ring : ring + 13] = warble[: frames - ring]
    return Sound(tones(rest, [1.0, 0.5, 0.6, 0.2, 0.3]), np.zeros(frames * HOP))


SOUNDS: dict[str, Callable[[int, Rng, Style], Sound]] = {
    sound.__name__: sound
    for sound in (
        dog, rain, siren, bell, clock, engine, bird, knock, thunder, alarm,
        wind, drum, cricket, whistle, footsteps, glass, waves, buzz, laser, phone,
    )
}  # fmt: skip
EVENTS: tuple[str, ...] = tuple(SOUNDS)

ATTRIBUTES: Mapping[str, tuple[Kind, ...]] = {
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
"""The kinds of attribute that change each event."""

# Root mean square of the loudest frame, by ear and by meter: noise and steady tones carry further than short clicks.
LEVELS = {
    "dog": 0.17, "rain": 0.08, "siren": 0.11, "bell": 0.14, "clock": 0.1,
    "engine": 0.16, "bird": 0.12, "knock": 0.16, "thunder": 0.19, "alarm": 0.11,
    "wind": 0.16, "drum": 0.2, "cricket": 0.09, "whistle": 0.12, "footsteps": 0.18,
    "glass": 0.13, "waves": 0.12, "buzz": 0.12, "laser": 0.13, "phone": 0.12,
}  # fmt: skip


def muffle(wave: Wave) -> Wave:
    """What distance leaves of a sound: 6 dB an octave less above 500 Hz."""
    spectrum = np.fft.rfft(wave)
    pitch = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum / np.sqrt(1 + (pitch / 500) ** 2), len(wave))


def synthesise(event: str, frames: int, rng: Rng, style: Style = Style()) -> Sound:
    """One event over `frames` codec frames at its natural level, give or take 1 dB, and as its style says."""
    sound = SOUNDS[event](frames, rng, style)
    if style.distance == "far":
        sound = Sound(muffle(sound.tonal), muffle(sound.noise))
    loudest = np.sqrt((sound.mix.reshape(frames, HOP) ** 2).mean(axis=1).max()) + 1e-9
    decibels = rng.uniform(-1, 1) + sum(GAINS.get(value, 0.0) for value in style.chosen().values())
    return sound.scaled(LEVELS[event] / loudest * 10 ** (decibels / 20))
