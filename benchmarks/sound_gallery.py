"""A gallery of the laboratory's sounds: one picture of all spectrograms, and a file to listen to for each.

uv run python benchmarks/sound_gallery.py docs/laboratory
"""

import argparse
from pathlib import Path

import numpy as np

from tagxai.laboratory import CLIP_FRAMES, SAMPLE_RATE
from tagxai.laboratory.sounds.styles import VALUES, Style
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES, EVENTS, synthesise
from tagxai.laboratory.sounds.waves import Wave


def decibels(wave: Wave, window: int = 512, step: int = 160) -> Wave:
    """Spectrogram in dB `[bins, columns]`, floored 70 dB below full scale."""
    pieces = np.lib.stride_tricks.sliding_window_view(wave, window)[::step]
    magnitude = np.abs(np.fft.rfft(pieces * np.hanning(window))).T * 4 / window
    return 20 * np.log10(magnitude + 10 ** (-70 / 20))


def picture(waves: dict[str, Wave], columns: int, path: Path) -> None:
    """Spectrograms side by side, each under its name."""
    from matplotlib.figure import Figure

    rows = -(-len(waves) // columns)
    figure = Figure(figsize=(2.6 * columns, 1.75 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(waves) :]:
        axis.set_axis_off()
    for axis, (name, wave) in zip(axes.flat, waves.items(), strict=False):
        extent = (0, len(wave) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000)
        axis.imshow(decibels(wave), origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-70, vmax=-10)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
    figure.supxlabel("time (s)", fontsize=9)
    figure.supylabel("frequency (kHz)", fontsize=9)
    figure.savefig(path, dpi=80)


def gallery(folder: Path, seed: int = 1) -> None:
    """Write `sounds.png`, `attributes.png` and `EVENT.ogg` for every event."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    waves = {event: synthesise(event, CLIP_FRAMES, rng).mix for event in EVENTS}
    picture(waves, 5, folder / "sounds.png")
    for event, wave in waves.items():
        soundfile.write(folder / f"{event}.ogg", np.clip(wave, -1, 1), SAMPLE_RATE, format="OGG", subtype="VORBIS")
    styled = {}
    for kind, values in VALUES.items():
        event = next(event for event in ("bell", "dog", "clock") if kind in ATTRIBUTES[event])
        for value in values:
            styled[f"{event}: {value}"] = synthesise(event, CLIP_FRAMES, rng, Style(**{kind: value})).mix
    picture(styled, 4, folder / "attributes.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    gallery(options.folder, options.seed)


if __name__ == "__main__":
    main()
