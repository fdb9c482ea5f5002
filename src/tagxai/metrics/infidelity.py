"""Infidelity: how far scores of removed words are from what removal costs (Yeh et al., NeurIPS 2019, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import Bool, Float, torch
from tagxai.metrics.families.faithfulness import ScoringMetric
from tagxai.metrics.families.word_sets import random_sets


def infidelity(
    scores: Float[torch.Tensor, " words"],
    removed: Bool[torch.Tensor, "perturbations words"],
    lost: Float[torch.Tensor, " perturbations"],
    *,
    scaled: bool = True,
) -> float:
    """E[(sum of the removed words' scores - what was lost)^2] over perturbations; small is good.

    `scaled` first gives the scores the best common factor that is not negative, since masks and probabilities are not
    in nats, and divides by E[lost^2]: 0 is exact, 1 is no better than zeros. (The best
    scale is that of the authors' code; that it is not negative, and the division, are ours.)

    >>> import torch
    >>> removed = torch.tensor([[True, False], [False, True]])
    >>> infidelity(torch.tensor([1.0, 2.0]), removed, torch.tensor([2.0, 4.0]))
    0.0
    >>> infidelity(torch.tensor([1.0, 2.0]), removed, torch.tensor([2.0, 4.0]), scaled=False)
    2.5
    """
    scores, lost = scores.double(), lost.double()
    if scaled and scores.any():
        scores = scores / scores.abs().max()
    claimed = removed.to(scores) @ scores
    if not scaled:
        return float((claimed - lost).square().mean())
    if not lost.any():
        return float(bool(claimed.any()))
    if not claimed.any():
        return 1.0
    factor = ((claimed @ lost) / (claimed @ claimed)).clamp(min=0)
    return min(1.0, float((factor * claimed - lost).square().sum() / lost.square().sum()))


@dataclass(frozen=True)
class Infidelity(ScoringMetric):
    """Faithfulness: squared error of the scores of removed words against what is lost (infidelity, Yeh et al. 2019)."""

    name: ClassVar[str] = "infidelity"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    expense: ClassVar[str] = "`samples` + 1 passes"

    samples: int = 64
    seed: int = 20_000
    """Seed of the draws of removed words; each is removed with probability 1/2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("samples", self.samples >= 1, "at least 1")

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        scores, value = self.word_game(generator, generation, attribution)
        kept = torch.cat(
            [torch.ones(1, len(scores), dtype=torch.bool), random_sets(len(scores), self.samples, self.seed)]
        )
        values = value(kept)
        return infidelity(scores, ~kept[1:], values[0] - values[1:])
