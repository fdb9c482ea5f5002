"""Mask size: how much of the prompt an explanation keeps (Kang et al., "AudioGenX", AAAI 2025, `Size`)."""

from __future__ import annotations

from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.lazy import Float, torch


def mask_size(mask: Float[torch.Tensor, "positions tokens"]) -> float:
    """The mean of a mask over steps and tokens; small is good.

    >>> import torch
    >>> mask_size(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    0.5
    """
    return float(mask.mean())


class MaskSize(Metric):
    """Complexity: the mean of the mask over steps and tokens, small is good (Kang et al. 2025)."""

    name: ClassVar[str] = "mask_size"
    family: ClassVar[str] = "complexity"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return mask_size(attribution.to_mask())
