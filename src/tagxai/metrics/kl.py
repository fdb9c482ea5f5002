"""KL_F and KL_CF: how far clips sampled under a mask, or 1 - mask, are from the original (after Kang et al. 2025).

The paper compares whole clips of other seeds under each method's own mask (`kl_f_paper`, `kl_cf_paper`): such a number
follows the size of the mask, and the noise of sampling hides the rest. `kl_f` and `kl_cf` compare frame by frame, with
the original's own noise, under masks that keep the same share of the tokens at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal

from tagxai.lazy import Float, torch
from tagxai.metrics.families.regeneration import RegenerationMetric
from tagxai.metrics.families.sampled_clips import Seeds

SMALLEST = 1e-6
"""Added to the probabilities of the second distribution, as in the authors' evaluation."""


def divergence(
    first: Float[torch.Tensor, "clips labels"], second: Float[torch.Tensor, "#clips labels"], exclusive: bool = True
) -> float:
    """KL(first || second) in nats, a mean over clips: sum_c p_c (log p_c - log(q_c + 1e-6)).

    Where labels do not exclude one another, it is the sum over labels of the divergence of yes and no. (Ours.)

    >>> import torch
    >>> round(divergence(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])), 4)
    0.1438
    """
    p, q = first.double(), second.double()
    if not exclusive:
        p, q = torch.stack([p, 1 - p], -1), torch.stack([q, 1 - q], -1)
    terms = torch.special.xlogy(p, p) - torch.special.xlogy(p, q + SMALLEST)
    return float(terms.flatten(1).sum(1).mean())


@dataclass(frozen=True)
class _KL(RegenerationMetric):
    bounds: ClassVar[tuple[float, float]] = (-0.01, inf)  # the 1e-6 of its definition takes it a little below 0

    reverse: bool = False
    """KL(original || new) in place of KL(new || original), which is AudioGenX's."""

    def compare(
        self,
        original: Float[torch.Tensor, "frames labels"],
        new: Float[torch.Tensor, "repeats frames labels"],
        exclusive: bool,
    ) -> float:
        same, new = original.expand_as(new).flatten(0, 1), new.flatten(0, 1)
        return divergence(same, new, exclusive) if self.reverse else divergence(new, same, exclusive)


@dataclass(frozen=True)
class FactualKL(_KL):
    """Regeneration: divergence from the original, frame by frame, under masks of one size (after Kang et al. 2025)."""

    name: ClassVar[str] = "kl_f"
    higher_is_better: ClassVar[bool] = False
    factual: ClassVar[bool] = True


@dataclass(frozen=True)
class CounterfactualKL(_KL):
    """Regeneration: divergence from the original, frame by frame, without the best tokens (after Kang et al. 2025)."""

    name: ClassVar[str] = "kl_cf"
    higher_is_better: ClassVar[bool] = True
    factual: ClassVar[bool] = False


@dataclass(frozen=True)
class PaperFactualKL(FactualKL):
    """Regeneration: KL_F as Kang et al. 2025; follows the mask's size, so it does not rank methods of other sizes."""

    name: ClassVar[str] = "kl_f_paper"

    mask: Literal["own", "matched"] = "own"
    seeds: Seeds = "next"
    per: Literal["frame", "clip"] = "clip"
    repeats: int = 2


@dataclass(frozen=True)
class PaperCounterfactualKL(CounterfactualKL):
    """Regeneration: KL_CF as Kang et al. 2025; follows the mask's size, so it does not rank methods of other sizes."""

    name: ClassVar[str] = "kl_cf_paper"

    mask: Literal["own", "matched"] = "own"
    seeds: Seeds = "next"
    per: Literal["frame", "clip"] = "clip"
    repeats: int = 2
