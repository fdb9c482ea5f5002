"""ContextCite: a sparse linear model of the words kept (Cohen-Wang, Shah, Georgiev, Madry, NeurIPS 2024, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.lazy import Bool, Float, torch
from tagxai.methods.families.table import TableMethod
from tagxai.scoring import ScoreTable, context_cite, random_subsets


@dataclass(frozen=True)
class ContextCite(TableMethod):
    """ContextCite: the LASSO on random subsets of the words (Cohen-Wang et al., NeurIPS 2024)."""

    name: ClassVar[str] = "context_cite"
    expense: ClassVar[str] = "`samples` forward passes, in batches"

    samples: int = 64
    """Subsets to score, at random with probability 1/2; all subsets where these are no more."""
    penalty: float = 0.01
    """Weight of the absolute coefficients, in nats a code: the larger, the fewer words."""
    seed: int = 0
    """Seed of the draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("samples", self.samples >= 2, "at least 2")
        self.require("penalty", self.penalty >= 0, "at least 0")

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return random_subsets(units, self.samples, seed=self.seed)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        return context_cite(table.masks, table.log_prob, penalty=self.penalty)
