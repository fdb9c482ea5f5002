"""Robustness to the method's own seed: the same clip explained again (after Alvarez-Melis & Jaakkola, WHI 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric
from tagxai.contract.values import Generation
from tagxai.metrics.families.rank_correlation import explanation_agreement


@dataclass(frozen=True)
class SeedRobustness(MethodMetric):
    """Robustness: likeness of explanations of one clip under other seeds of the method; 1 without randomness."""

    name: ClassVar[str] = "seed_robustness"
    family: ClassVar[str] = "robustness"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = "`repeats` explanations, none for a method without a seed"

    repeats: int = 2

    def __post_init__(self) -> None:
        self.require("repeats", self.repeats >= 1, "at least 1")

    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float:
        """The mean rank correlation, over tokens x frames, with the given explanation."""
        settings = method.settings()
        if "seed" not in settings:
            return 1.0
        found = []
        for i in range(1, self.repeats + 1):
            other = type(method).configure({**settings, "seed": settings["seed"] + i})
            found.append(explanation_agreement(other.attribute(generator, generation), attribution))
        return sum(found) / len(found)
