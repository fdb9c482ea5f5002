"""How close a ranking comes to the best of all rankings (after Edin et al., "Normalized AOPC", ACL 2025).

Edin et al. normalise areas under perturbation curves by the best and worst that any order reaches on that input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.errors import NotApplicableError
from tagxai.lazy import Float, torch
from tagxai.metrics.families.faithfulness import ScoringMetric, SetValue
from tagxai.metrics.families.word_sets import rankings

MOST_WORDS = 10


def share_of_optimum(scores: Float[torch.Tensor, " words"], value: SetValue) -> float:
    """The area between LeRF and MoRF of this ranking, divided by the largest of all n! rankings: 1 is the optimum.

    Reversing a ranking negates its area, so the worst ranking has -1, and equal scores have 0. Needs all 2^n sets.

    >>> import torch
    >>> worth = torch.tensor([3.0, 1.0, 2.0])
    >>> share_of_optimum(torch.tensor([0.9, 0.1, 0.5]), lambda masks: masks.to(worth) @ worth)
    1.0
    """
    n = len(scores)
    masks = (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1 == 1
    worth = value(masks).double()
    gap = (worth - worth.flip(0)).tolist()  # the set of row r and its complement, row 2^n - 1 - r
    optimum = [0.0] * 2**n  # the largest sum of gaps on the way from no words to the set, which passes them all
    for row in range(1, 2**n):
        before = max(optimum[row ^ (1 << word)] for word in range(n) if row >> word & 1)
        optimum[row] = before + gap[row]
    best = optimum[-1] - gap[-1]  # at the ends all rankings are the same
    areas = []
    for order in rankings(scores).tolist():
        rows = [sum(1 << word for word in order[:size]) for size in range(1, n)]
        areas.append(sum(gap[row] for row in rows))
    if best < 1e-9:
        raise NotApplicableError("no ranking of this prompt's words is better than another")
    return max(-1.0, min(1.0, sum(areas) / len(areas) / best))  # rounding


@dataclass(frozen=True)
class ShareOfOptimum(ScoringMetric):
    """Faithfulness: MoRF-LeRF area as a share of the best ranking's, found exhaustively (Edin et al. 2025)."""

    name: ClassVar[str] = "share_of_optimum"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = f"2^n passes for n words, or phrases where words are more than {MOST_WORDS}"

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        units = self.players(generator, generation, attribution)
        if sum(not unit.special for unit in units) > MOST_WORDS:
            units = attribution.phrases()
        words = sum(not unit.special for unit in units)
        if not 2 <= words <= MOST_WORDS:
            raise NotApplicableError(
                f"metric {self.name!r} tries every set of phrases: expected 2 to {MOST_WORDS} of them, not {words} "
                f"as in {generation.prompt!r}"
            )
        return share_of_optimum(*self.unit_game(generator, generation, attribution, units))
