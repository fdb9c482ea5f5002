"""Loudness by frequency and time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tagxai.contract.values import Generation
from tagxai.lazy import torch

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

LOWEST = 50.0  # Hz, the lower end of every spectrogram
RANGE = 70.0  # dB below the loudest point, drawn as silence


def spectrogram(generation: Generation, *, bands: int = 128) -> np.ndarray:
    """Loudness in [0, 1] as `[bands, windows]`; the bands are evenly spaced in log-frequency from LOWEST upwards."""
    import numpy as np

    size, hop = 1024, 256
    samples = round(generation.duration * generation.sample_rate)
    mono = generation.waveform.detach().float().cpu().mean(0)[:samples]
    mono = torch.nn.functional.pad(mono, (0, max(0, size - len(mono))))
    window = torch.hann_window(size)
    power = torch.stft(mono, size, hop, window=window, pad_mode="constant", return_complex=True).abs().square().numpy()
    centres = np.linspace(0, generation.sample_rate / 2, power.shape[0])
    wanted = np.geomspace(LOWEST, generation.sample_rate / 2, bands)
    rows = np.stack([np.interp(wanted, centres, column) for column in power.T], axis=1)
    loudness = 10 * np.log10(rows + 1e-10)  # -100 dB is silence
    return np.clip((loudness - max(loudness.max(), RANGE - 100)) / RANGE + 1, 0, 1)


def draw_spectrogram(axes: Axes, generation: Generation) -> None:
    low, high = math.log2(LOWEST), math.log2(generation.sample_rate / 2)
    axes.imshow(
        spectrogram(generation),
        aspect="auto",
        origin="lower",
        cmap="Greys",
        vmin=0,
        vmax=1,
        extent=(0.0, generation.duration, low, high),
    )
    ticks = [hertz for hertz in (100, 250, 500, 1000, 2000, 4000, 8000, 16000) if hertz <= generation.sample_rate / 2]
    axes.set_yticks([math.log2(hertz) for hertz in ticks])
    axes.set_yticklabels([f"{hertz // 1000} k" if hertz >= 1000 else str(hertz) for hertz in ticks], fontsize=8)
    axes.set_ylabel("Hz")
    axes.set_xlabel("seconds")
    axes.set_xlim(0, generation.duration)
