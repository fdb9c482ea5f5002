"""pi-Soft-NS: what words are worth that are kept at random, the better the likelier.

Zhao and Aletras (ACL 2023) keep each part of a word's vector with the word's score as the probability. Whoever gives
higher scores then keeps more, so Huang and Chan (2026, arXiv 2601.03089) compare at one mean probability, pi. Ours:
whole words are drawn, how scores become such probabilities (`families.faithfulness.retaining`), and log-probability for a
distance of distributions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from jaxtyping import Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import torch
from tagxai.metrics.families.faithfulness import ScoringMetric, Value, effect, softly


def soft_sufficiency(
    scores: Float[torch.Tensor, " words"], value: Value, *, share: float = 0.5, samples: int = 64, seed: int = 20_000
) -> float:
    """(value(kept) - value(none)) / |value(all) - value(none)|, expected over random sets of words; high is good.

    A set keeps `share` of the words on average, whatever the scores. Equal scores are the level of chance.

    >>> import torch
    >>> soft_sufficiency(torch.tensor([0.9, 0.1]), lambda masks: masks[:, 0].double())
    1.0
    """
    every, whole = effect(value, len(scores))
    kept = softly(scores, share, samples, seed)
    return float(value(kept).mean() - (every - whole)) / abs(whole)


@dataclass(frozen=True)
class SoftSufficiency(ScoringMetric):
    """Faithfulness: what words kept by their scores are worth, at equal size (pi-Soft-NS, Huang & Chan 2026)."""

    name: ClassVar[str] = "soft_sufficiency"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    cost: ClassVar[str] = "at most `samples` + 2 passes"

    share: float = 0.5
    """pi: the mean probability with which a word is kept."""
    samples: int = 64
    seed: int = 20_000
    """Of the sets of words."""

    def __post_init__(self) -> None:
        self.require("share", 0 < self.share < 1, "between 0 and 1")
        self.require("samples", self.samples >= 1, "at least 1")

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        scores, value = self.word_game(generator, generation, attribution)
        return soft_sufficiency(scores, value, share=self.share, samples=self.samples, seed=self.seed)
