"""Comprehensiveness and sufficiency: what is lost without the best words, and with these alone (DeYoung et al., 2020).

DeYoung et al., "ERASER: A Benchmark to Evaluate Rationalized NLP Models", ACL 2020, section 4. Two defaults are ours,
because a sound is often named by words that say the same: comprehensiveness removes words also beside the absence of a
near one (`beside=0` is the paper's), and sufficiency keeps all words of an event or none (`units=word` is the paper's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import ClassVar, Literal

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import Float, torch
from tagxai.metrics.families.faithfulness import ScoringMetric, SetValue
from tagxai.metrics.families.word_sets import prefixes, rankings

SHARES = (0.05, 0.1, 0.2, 0.5)
"""Shares of the words: DeYoung et al.'s bins but the smallest, which is no word of a prompt; at least one word."""


def comprehensiveness(
    scores: Float[torch.Tensor, " words"], value: SetValue, shares: Sequence[float] = SHARES
) -> float:
    """value(all) - value(all but the best words), a mean over `shares` of how many are the best.

    >>> import torch
    >>> comprehensiveness(torch.tensor([0.9, 0.1]), lambda masks: 3 * masks[:, 0].double())
    3.0
    """
    sizes = [ceil(share * len(scores)) for share in shares]
    lost = []
    for order in rankings(scores):
        left = value(~prefixes(order))
        lost.append((left[0] - left[sizes]).mean())
    return float(torch.stack(lost).mean())


def sufficiency(scores: Float[torch.Tensor, " words"], value: SetValue, shares: Sequence[float] = SHARES) -> float:
    """value(all) - value(the best words alone), a mean over `shares` of how many are the best; small is good.

    >>> import torch
    >>> sufficiency(torch.tensor([0.1, 0.9]), lambda masks: 3 * masks[:, 0].double())
    3.0
    """
    sizes = [ceil(share * len(scores)) for share in shares]
    lost = []
    for order in rankings(scores):
        with_best = value(prefixes(order))
        lost.append((with_best[-1] - with_best[sizes]).mean())
    return float(torch.stack(lost).mean())


@dataclass(frozen=True)
class Comprehensiveness(ScoringMetric):
    """Faithfulness: log-probability lost, in nats a code, without the best words (after DeYoung et al. 2020)."""

    name: ClassVar[str] = "comprehensiveness"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    expense: ClassVar[str] = "about n (n + 1) / 2 passes for n words, twice as many with ties"

    beside: int = 4

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return comprehensiveness(*self.word_game(generator, generation, attribution))


@dataclass(frozen=True)
class Sufficiency(ScoringMetric):
    """Faithfulness: log-probability lost, in nats a code, with the best events alone (after DeYoung et al. 2020)."""

    name: ClassVar[str] = "sufficiency"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    expense: ClassVar[str] = "n + 1 passes for n events and other words, twice as many with ties"

    units: Literal["word", "event"] = "event"

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return sufficiency(*self.word_game(generator, generation, attribution))
