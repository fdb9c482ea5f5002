"""Localisation with three values: silent gaps between a word's own sounds are neither true nor false.

Between two barks nothing sounds, and the strict metrics call "dog" false there. But interventions disagree: replace the
word, and the gap changes with it; remove it, and the gap mostly stays silent. Here such cells do not count. An
explanation that knows the exact interval of each sound, from its first frame to its last, is then perfect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.metrics.families.localisation import Gaps, Localisation
from tagxai.metrics.families.word_time import average_precision, pointing_game, relevance_mass, relevance_rank, roc_auc


@dataclass(frozen=True)
class _ThreeValued(Localisation):
    gaps: Gaps = "neither"


class ThreeValuedAveragePrecision(_ThreeValued):
    """Average precision of word x time, where silent gaps between a word's own sounds do not count."""

    name: ClassVar[str] = "average_precision_three_valued"
    formula = staticmethod(average_precision)


class ThreeValuedPointingGame(_ThreeValued):
    """Pointing game (Zhang et al. 2018), where silent gaps between a word's own sounds do not count."""

    name: ClassVar[str] = "pointing_game_three_valued"
    formula = staticmethod(pointing_game)


class ThreeValuedRelevanceMass(_ThreeValued):
    """Relevance mass accuracy (Arras et al. 2022), where silent gaps between a word's own sounds do not count."""

    name: ClassVar[str] = "relevance_mass_three_valued"
    formula = staticmethod(relevance_mass)


class ThreeValuedRelevanceRank(_ThreeValued):
    """Relevance rank accuracy (Arras et al. 2022), where silent gaps between a word's own sounds do not count."""

    name: ClassVar[str] = "relevance_rank_three_valued"
    formula = staticmethod(relevance_rank)


class ThreeValuedRocAuc(_ThreeValued):
    """Area under the ROC curve, where silent gaps between a word's own sounds do not count."""

    name: ClassVar[str] = "roc_auc_three_valued"
    formula = staticmethod(roc_auc)
