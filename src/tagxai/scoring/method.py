"""The base of methods that are arithmetic on a score table: they choose coalitions, and say what a table means."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from jaxtyping import Bool, Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.lazy import torch
from tagxai.scoring.passes import score
from tagxai.scoring.table import NEEDS_ATTENTION, Operator, ScoreTable, Target
from tagxai.text import words
from tagxai.text.words import By, Unit


@dataclass(frozen=True)
class TableMethod(Method):
    """A method fills in `coalitions` and `values`; more than one table takes a `tables` of its own."""

    needs = frozenset({"attention"})

    operator: Operator = "value"
    """How a word is taken away: `value`, `gate` or `attention` (from cross-attention: its direct effect), `null` (its
    embeddings), or `delete` (its text: its total effect). See `tagxai.scoring`."""
    target: Target = "conditional"
    """What it is taken away from: the log-probability of the branch `conditional` or `guided`, their `contrast` with no
    prompt, or the `hidden` states."""
    by: By = "word"
    """Whether words, noun phrases or the model's own tokens are taken away."""
    batch_size: int | None = None
    """Coalitions in one pass of the model; none takes what fits. It changes no result."""

    def __post_init__(self) -> None:
        for option, kind in (("operator", Operator), ("target", Target), ("by", By)):
            choices = get_args(kind)
            self.require(option, getattr(self, option) in choices, f"one of {', '.join(choices)}")
        self.require("batch_size", self.batch_size is None or self.batch_size >= 1, "at least 1")

    def check_supported(self, generator: Generator) -> None:
        if self.operator in NEEDS_ATTENTION:  # the others change what the model reads, not the model
            super().check_supported(generator)

    @abstractmethod
    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        """What to score for a prompt of so many units."""

    @abstractmethod
    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units codebooks frames"]:
        """What each unit is worth to each code."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        units = self.units(generation)
        table = self.score(generator, generation, units, self.coalitions(len(units)), on_progress)
        return self.attribution(generation, units, self.values(table), table.cost)

    def units(self, generation: Generation) -> Sequence[Unit]:
        return words.units(self.by, generation.prompt, generation.token_spans, generation.tokens)

    def score(
        self,
        generator: Generator,
        generation: Generation,
        units: Sequence[Unit],
        masks: Bool[torch.Tensor, "coalitions units"],
        on_progress: OnProgress | None,
    ) -> ScoreTable:
        return score(
            generator,
            generation,
            units,
            masks,
            operator=self.operator,
            target=self.target,
            batch_size=self.batch_size,
            on_progress=on_progress,
        )

    def attribution(
        self,
        generation: Generation,
        units: Sequence[Unit],
        values: Float[torch.Tensor, "units codebooks frames"],
        cost: dict[str, float],
        diagnostics: dict[str, Any] | None = None,
    ) -> Attribution:
        """The units' values as scores of tokens: those of one unit share its value equally, and add up to it."""
        scores = torch.zeros(*values.shape[1:], len(generation.tokens))
        for unit, value in zip(units, values, strict=True):
            scores[..., list(unit.tokens)] = value[..., None].float() / len(unit.tokens)
        return Attribution(generation, scores, self.name, self.settings(), cost=cost, diagnostics=diagnostics or {})
