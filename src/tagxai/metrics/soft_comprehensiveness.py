"""pi-Soft-NC: what is lost when words are removed at random, the better the likelier.

Zhao and Aletras (ACL 2023) remove each part of a word's vector with the word's score as the probability. Whoever gives
higher scores then removes more, so Huang and Chan (2026, arXiv 2601.03089) compare at one mean probability, pi. Ours:
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


def soft_comprehensiveness(
    scores: Float[torch.Tensor, " words"], value: Value, *, share: float = 0.5, samples: int = 64, seed: int = 20_000
) -> float:
    """(value(all) - value(not removed)) / |value(all) - value(none)|, expected over random sets; high is good.

    A set takes away `share` of the words on average, whatever the scores. Equal scores are the level of chance.

    >>> import torch
    >>> soft_comprehensiveness(torch.tensor([0.9, 0.1]), lambda masks: masks[:, 0].double())
    1.0
    """
    every, whole = effect(value, len(scores))
    kept = softly(scores, share, samples, seed)
    return (every - float(value(~kept).mean())) / abs(whole)


@dataclass(frozen=True)
class SoftComprehensiveness(ScoringMetric):
    """Faithfulness: what is lost when words go by their scores, at equal size (pi-Soft-NC, Huang & Chan 2026)."""

    name: ClassVar[str] = "soft_comprehensiveness"
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
        return soft_comprehensiveness(scores, value, share=self.share, samples=self.samples, seed=self.seed)
