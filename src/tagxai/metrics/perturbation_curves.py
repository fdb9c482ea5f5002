"""Area between the curves of removing the least and the most relevant words first (Samek et al., IEEE TNNLS 2017).

MoRF removes the most relevant word first, LeRF the least; the further apart the curves, the better the ranking.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import Float, torch
from tagxai.metrics.families.faithfulness import ScoringMetric, SetValue, whole_effect
from tagxai.metrics.families.word_sets import prefixes, rankings


def perturbation_curves(scores: Float[torch.Tensor, " words"], value: SetValue) -> float:
    """The area between LeRF and MoRF (over the share of words removed, by trapezoids), in units of the whole effect.

    Of n words the first of which has all the effect, the true ranking has (n - 1) / n, its reverse the negative, and
    equal scores have 0. It may pass 1 where words work against one another.

    >>> import torch
    >>> perturbation_curves(torch.tensor([0.9, 0.1]), lambda masks: masks[:, 0].double())
    0.5
    """
    _, whole = whole_effect(value, len(scores))
    areas = []
    for order in rankings(scores):
        kept = prefixes(order)
        areas.append(torch.trapezoid(value(kept) - value(~kept), dx=1 / len(scores)))
    return float(torch.stack(areas).mean()) / abs(whole)


@dataclass(frozen=True)
class PerturbationCurves(ScoringMetric):
    """Faithfulness: area between removing least and most relevant words first (MoRF-LeRF, Samek et al. 2017)."""

    name: ClassVar[str] = "perturbation_curves"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    expense: ClassVar[str] = "2 n passes for n words, twice as many with ties"

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        return perturbation_curves(*self.word_game(generator, generation, attribution))
