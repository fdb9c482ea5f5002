"""Removal: what the top words are for is gone from clips of the prompt without them (input deletion, regenerated).

The words of an event go together: "dog barks" without "dog" would still make a dog.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.lazy import torch
from tagxai.metrics.families.faithfulness import event_units
from tagxai.metrics.families.sampled_clips import Samples, Variant, classifier_for, sampled, sampled_together
from tagxai.scoring import without


def top_words(scores: list[float], k: int) -> list[int]:
    """The k best words, or all if there are fewer; equal ones are drawn by a fixed seed, not in their order.

    >>> top_words([0.1, 3.0, 2.0], 2)
    [1, 2]
    """
    draw = torch.rand(len(scores), generator=torch.Generator().manual_seed(0)).tolist()
    return sorted(range(len(scores)), key=lambda word: (-scores[word], draw[word]))[:k]


@dataclass(frozen=True)
class Removal(Metric):
    """Removal: drop of the original's top label in clips of the prompt without its best event or other word."""

    name: ClassVar[str] = "removal_1"
    family: ClassVar[str] = "removal"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = "2 `repeats` clips, half of which are shared by all methods"

    k: int = 1
    units: Literal["word", "event"] = "event"
    """What is removed: single words, or all words of an event together (phrases, where no truth says which)."""
    repeats: int = 2
    classifier: str | None = None
    """By name; None takes the embedded detector for `tiny`, else `passt`."""

    def __post_init__(self) -> None:
        self.require("k", self.k >= 1, "at least 1")
        self.require("repeats", self.repeats >= 1, "at least 1")

    def _samples(self, generator: Generator, generation: Generation, attribution: Attribution) -> Samples:
        """Clips of the whole prompt, and of what is left of it."""
        words = attribution.words() if self.units == "word" else event_units(generator, generation, attribution)
        units = [unit for unit in words if not unit.special]
        gone = top_words(attribution.over_time(units).mean(1).tolist(), self.k)
        left = without(generation.prompt, units, [i not in gone for i in range(len(units))])
        return Samples(generation, self.classifier, self.repeats, [Variant(), Variant(prompt=left)])

    def prepare(self, generator: Generator, attributions: Sequence[Attribution]) -> None:
        sampled_together(generator, [self._samples(generator, each.generation, each) for each in attributions])

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        """Clips of the whole prompt and of what is left have the same seeds; neither has the original's seed, whose
        top label would be high by selection."""
        _, judge = classifier_for(generator, self.classifier)
        top = int(judge([generation.waveform], generation.sample_rate)[0].argmax())
        whole, less = sampled(generator, self._samples(generator, generation, attribution))
        return float((whole[:, top] - less[:, top]).mean())


@dataclass(frozen=True)
class RemovalOfTwo(Removal):
    """Removal: drop of the original's top label in clips of the prompt without its two best events or words."""

    name: ClassVar[str] = "removal_2"
    k: int = 2


@dataclass(frozen=True)
class RemovalOfThree(Removal):
    """Removal: drop of the original's top label in clips of the prompt without its three best events or words."""

    name: ClassVar[str] = "removal_3"
    k: int = 3
