"""Fid_F and Fid_CF: how much of what is heard changes in clips sampled under a mask, or 1 - mask (after AAAI 2025).

Kang et al. give no formula. `change` counts all labels and frames: the top label alone hardly changes as long as its
event is heard anywhere, and a clip's other events would not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.lazy import Float, torch
from tagxai.metrics.families.regeneration import RegenerationMetric


def change(original: Float[torch.Tensor, "frames labels"], new: Float[torch.Tensor, "clips frames labels"]) -> float:
    """sum |p - o| / sum max(p, o) over all frames and labels (the distance of Jaccard for probabilities), a mean over
    clips: 0 where nothing changes, 1 where nothing that was heard is heard in the same frames.

    >>> import torch
    >>> round(change(torch.tensor([[1.0, 0.0], [0.5, 0.0]]), torch.tensor([[[1.0, 0.0], [0.0, 0.5]]])), 4)
    0.5
    """
    o, p = original.double().expand(new.shape), new.double()
    least = torch.finfo(torch.float64).tiny
    return float(((p - o).abs().sum((1, 2)) / torch.maximum(p, o).sum((1, 2)).clamp(min=least)).mean())


@dataclass(frozen=True)
class _Fidelity(RegenerationMetric):
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def compare(
        self,
        original: Float[torch.Tensor, "frames labels"],
        new: Float[torch.Tensor, "repeats frames labels"],
        exclusive: bool,
    ) -> float:
        return change(original, new)


@dataclass(frozen=True)
class FactualFidelity(_Fidelity):
    """Regeneration: share of what is heard that changes under the mask, small is good (after Kang et al. 2025)."""

    name: ClassVar[str] = "fid_f"
    higher_is_better: ClassVar[bool] = False
    factual: ClassVar[bool] = True


@dataclass(frozen=True)
class CounterfactualFidelity(_Fidelity):
    """Regeneration: share of what is heard that changes under 1 - mask, high is good (after Kang et al. 2025)."""

    name: ClassVar[str] = "fid_cf"
    higher_is_better: ClassVar[bool] = True
    factual: ClassVar[bool] = False
