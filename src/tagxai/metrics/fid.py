"""Fid_F and Fid_CF: change of the original's top label in clips sampled under a mask, or 1 - mask (AAAI 2025).

Kang et al. give no formula: `change_of_top` is our reading of the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from tagxai.lazy import torch
from tagxai.metrics.families.regeneration import RegenerationMetric


def change_of_top(original: Float[torch.Tensor, " labels"], new: Float[torch.Tensor, "clips labels"]) -> float:
    """The mean |p_original(y) - p_new(y)| of the original's most probable label y.

    >>> import torch
    >>> round(change_of_top(torch.tensor([0.2, 0.8]), torch.tensor([[0.5, 0.5], [0.1, 0.9]])), 4)
    0.2
    """
    top = int(original.argmax())
    return float((new.double()[:, top] - original.double()[top]).abs().mean())


@dataclass(frozen=True)
class _Fidelity(RegenerationMetric):
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def compare(
        self, original: Float[torch.Tensor, " labels"], new: Float[torch.Tensor, "repeats labels"], exclusive: bool
    ) -> float:
        return change_of_top(original, new)


@dataclass(frozen=True)
class FactualFidelity(_Fidelity):
    """Regeneration: change of the top label's probability under the mask, small is good (after Kang et al. 2025)."""

    name: ClassVar[str] = "fid_f"
    higher_is_better: ClassVar[bool] = False
    factual: ClassVar[bool] = True


@dataclass(frozen=True)
class CounterfactualFidelity(_Fidelity):
    """Regeneration: change of the top label's probability under 1 - mask, high is good (after Kang et al. 2025)."""

    name: ClassVar[str] = "fid_cf"
    higher_is_better: ClassVar[bool] = True
    factual: ClassVar[bool] = False
