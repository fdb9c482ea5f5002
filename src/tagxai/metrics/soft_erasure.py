"""pi-Soft-NC and pi-Soft-NS: comprehensiveness and sufficiency with words drawn at random, by their scores.

Zhao and Aletras (ACL 2023) remove, or keep, each part of a word's vector with the word's score as the probability. The
method with the higher scores then removes or keeps more, so Huang and Chan (2026, arXiv 2601.03089) compare at one mean
probability, pi. Three choices are ours: whole words are drawn, scores become probabilities as in `retaining`, and the
log-probability stands for a distance of distributions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import Bool, Float, torch
from tagxai.metrics.families.faithfulness import ScoringMetric, SetValue, whole_effect


def retaining(scores: Float[torch.Tensor, " words"], share: float = 0.5) -> Float[torch.Tensor, " words"]:
    """Scores as probabilities of keeping each word, of which `share` is the mean: no explanation keeps more than
    another. They rise in proportion from 0 for the lowest score, and stop at 1; equal scores are all `share`.

    >>> import torch
    >>> retaining(torch.tensor([0.0, 1.0, 1.0, 4.0])).tolist()
    [0.0, 0.5, 0.5, 1.0]
    >>> retaining(torch.tensor([0.0, 0.0, 0.0, 9.0])).tolist()  # one is certain
    [0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 1.0]
    """
    budget = share * len(scores)
    height = scores.double() - scores.double().min()
    if not height.any():
        return torch.full_like(height, share)
    height = height / height.max()
    positive = height > 0
    certain = int(positive.sum())
    if certain <= budget:  # these are kept for sure, and the others share what is left
        return positive + (~positive).to(height) * ((budget - certain) / (len(scores) - certain))
    full = torch.zeros_like(positive)
    while True:
        raised = height * (budget - full.sum()) / height[~full].sum()
        if not (~full & (raised > 1)).any():
            return torch.where(full, 1.0, raised)
        full |= raised > 1


def draw_by_score(
    scores: Float[torch.Tensor, " words"], share: float, samples: int, seed: int
) -> Bool[torch.Tensor, "sets words"]:
    """`samples` sets of words with the probabilities of `retaining`, from the same noise for every explanation."""
    noise = torch.rand(samples, len(scores), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise < retaining(scores, share)


def soft_comprehensiveness(
    scores: Float[torch.Tensor, " words"], value: SetValue, *, share: float = 0.5, samples: int = 64, seed: int = 20_000
) -> float:
    """(value(all) - value(not removed)) / |value(all) - value(none)|, expected over random sets; high is good.

    A set takes away `share` of the words on average, whatever the scores. Equal scores are the level of chance.

    >>> import torch
    >>> soft_comprehensiveness(torch.tensor([0.9, 0.1]), lambda masks: masks[:, 0].double())
    1.0
    """
    every, whole = whole_effect(value, len(scores))
    kept = draw_by_score(scores, share, samples, seed)
    return (every - float(value(~kept).mean())) / abs(whole)


def soft_sufficiency(
    scores: Float[torch.Tensor, " words"], value: SetValue, *, share: float = 0.5, samples: int = 64, seed: int = 20_000
) -> float:
    """(value(kept) - value(none)) / |value(all) - value(none)|, expected over random sets of words; high is good.

    A set keeps `share` of the words on average, whatever the scores. Equal scores are the level of chance.

    >>> import torch
    >>> soft_sufficiency(torch.tensor([0.9, 0.1]), lambda masks: masks[:, 0].double())
    1.0
    """
    every, whole = whole_effect(value, len(scores))
    kept = draw_by_score(scores, share, samples, seed)
    return float(value(kept).mean() - (every - whole)) / abs(whole)


@dataclass(frozen=True)
class _SoftErasure(ScoringMetric):
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    expense: ClassVar[str] = "at most `samples` + 2 passes"

    share: float = 0.5
    """pi: the mean probability with which a word is kept."""
    samples: int = 64
    seed: int = 20_000
    """Seed of the draws of word sets."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("share", 0 < self.share < 1, "between 0 and 1")
        self.require("samples", self.samples >= 1, "at least 1")


@dataclass(frozen=True)
class SoftComprehensiveness(_SoftErasure):
    """Faithfulness: what is lost when words drawn by score are removed, at equal size (pi-Soft-NC, 2026)."""

    name: ClassVar[str] = "soft_comprehensiveness"

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        scores, value = self.word_game(generator, generation, attribution)
        return soft_comprehensiveness(scores, value, share=self.share, samples=self.samples, seed=self.seed)


@dataclass(frozen=True)
class SoftSufficiency(_SoftErasure):
    """Faithfulness: what words drawn by score are worth, at equal size (pi-Soft-NS, Huang & Chan 2026)."""

    name: ClassVar[str] = "soft_sufficiency"

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        scores, value = self.word_game(generator, generation, attribution)
        return soft_sufficiency(scores, value, share=self.share, samples=self.samples, seed=self.seed)
