"""LIME: a linear model of the words kept, fitted near the whole prompt (Ribeiro, Singh, Guestrin, KDD 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.lazy import Bool, Float, torch
from tagxai.methods.families.table import TableMethod
from tagxai.scoring import ScoreTable, lime, random_subsets


@dataclass(frozen=True)
class Lime(TableMethod):
    """LIME: kernel-weighted ridge regression on random subsets of the words (Ribeiro et al., KDD 2016)."""

    name: ClassVar[str] = "lime"
    expense: ClassVar[str] = "2^words forward passes, at most `samples`, in batches"

    samples: int = 256
    """Subsets to score, of all sizes equally often; all subsets where these are no more."""
    kernel_width: float = 0.25
    """Width in the weight exp(-D^2 / width^2), where D is the cosine distance to the whole prompt, from 0 to 1."""
    penalty: float = 0.001
    """Weight of the squared coefficients times the variance of their words, beside a mean squared error."""
    seed: int = 0
    """Seed of the draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("samples", self.samples >= 3, "at least 3")
        self.require("kernel_width", self.kernel_width > 0, "positive")
        self.require("penalty", self.penalty >= 0, "at least 0")

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return random_subsets(units, self.samples, by_size=True, seed=self.seed)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        return lime(table.masks, table.log_prob, kernel_width=self.kernel_width, penalty=self.penalty)
