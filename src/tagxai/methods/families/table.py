"""The base of methods that are arithmetic on a score table: they choose coalitions, and compute values from a table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from tagxai.contract.generator import Capability
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.values import Generation
from tagxai.lazy import Bool, Float, torch
from tagxai.scoring import NEEDS_ATTENTION, Operator, ScoreTable, Target, score
from tagxai.text import words
from tagxai.text.words import By, Unit


@dataclass(frozen=True)
class TableMethod(Method):
    """A method implements `coalitions` and `values`."""

    family: ClassVar[str] = "removal"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention"})
    remedy: ClassVar[str] = "set operator=delete, which needs nothing of the model"
    fallback: ClassVar[Mapping[str, Any]] = {"operator": "delete"}

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

    def needed(self) -> frozenset[Capability]:
        """Attention for some operators; the others change what the model reads, not the model."""
        return self.needs if self.operator in NEEDS_ATTENTION else frozenset()

    @abstractmethod
    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        """The coalitions to score for a prompt of this many units."""

    @abstractmethod
    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        """What each unit is worth to each code."""

    def explain(self, run: Run) -> Scores:
        units = self.units(run.generation)
        return self.spread(run, units, self.values(self.score(run, units, self.coalitions(len(units)))))

    def units(self, generation: Generation) -> Sequence[Unit]:
        """The words, phrases or tokens that are taken away."""
        return words.units(self.by, generation.prompt, generation.spans, generation.tokens)

    def score(
        self, run: Run, units: Sequence[Unit], masks: Bool[torch.Tensor, "coalitions units"], *, quiet: bool = False
    ) -> ScoreTable:
        """The table of these coalitions, under this method's operator and target."""
        return score(
            run.model,
            run.generation,
            units,
            masks,
            operator=self.operator,
            target=self.target,
            batch_size=self.batch_size,
            on_progress=None if quiet else run.on_progress,
        )

    def spread(
        self,
        run: Run,
        units: Sequence[Unit],
        values: Float[torch.Tensor, "units streams frames"],
        diagnostics: Mapping[str, Any] | None = None,
    ) -> Scores:
        """The units' values as scores of tokens: those of one unit share its value equally, and add up to it."""
        scores = torch.zeros(*values.shape[1:], len(run.generation.tokens))
        for unit, value in zip(units, values, strict=True):
            scores[..., list(unit.tokens)] = value[..., None].float() / len(unit.tokens)
        return Scores(scores, diagnostics=diagnostics or {})
