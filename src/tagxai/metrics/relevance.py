"""Relevance mass and rank accuracy: how much relevance, or how many top cells, lie in the truth (Arras et al. 2022)."""

from __future__ import annotations

from typing import ClassVar

from tagxai.metrics.families.localisation import Localisation
from tagxai.metrics.families.word_time import relevance_mass, relevance_rank


class RelevanceMass(Localisation):
    """The share of positive relevance that lies in the truth (relevance mass accuracy, Arras et al. 2022)."""

    name: ClassVar[str] = "relevance_mass"
    formula = staticmethod(relevance_mass)


class RelevanceRank(Localisation):
    """The share of the K true cells that are among the K best (relevance rank accuracy, Arras et al. 2022)."""

    name: ClassVar[str] = "relevance_rank"
    formula = staticmethod(relevance_rank)
