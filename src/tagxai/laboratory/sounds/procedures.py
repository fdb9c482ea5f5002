"""Twenty everyday sounds as small procedures with natural variation.

Every procedure takes the number of frames, a random generator and a `Style`, from which it reads rate, pitch and count;
level and distance are applied to the finished sound by `synthesis.synthesise`. It returns the tonal and the noisy part
separately, because only the former has a waveform worth matching sample by sample.
"""

from collections.abc import Callable

import numpy as np

from tagxai.laboratory import HOP, SAMPLE_RATE
from tagxai.laboratory.sounds.rhythm import beats, hits
from tagxai.laboratory.sounds.styles import Style
from tagxai.laboratory.sounds.waves import Rng, Sound, band_noise, decays, strikes, tones


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
    drops = decays(samples, sorted(rng.integers(0, frames, frames // 4).tolist()), 0.012)
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
    """Dry clicks, tick and tock alternately."""
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
