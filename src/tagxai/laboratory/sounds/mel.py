"""Mel filters, shared by the detector and the codec's losses."""

import math

import torch
from torch import Tensor

from tagxai.laboratory import SAMPLE_RATE
from tagxai.lazy import Float


def mel_filters(window: int, bands: int, low: float = 30.0, high: float = 8000.0) -> Float[Tensor, "bands bins"]:
    """Triangles of unit height, evenly spaced in mel, over the bins of a spectrum of `window` samples."""

    def to_mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    mel = torch.linspace(to_mel(low), to_mel(high), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = torch.linspace(0, SAMPLE_RATE / 2, window // 2 + 1)
    width = SAMPLE_RATE / window  # a band narrower than one bin would be empty
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2]).clamp(min=width)[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1]).clamp(min=width)[:, None]
    return torch.minimum(rise, fall).clamp(0, 1)
