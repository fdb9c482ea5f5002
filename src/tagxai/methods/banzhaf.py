"""Banzhaf values: a word's mean gain over all subsets of the others (Banzhaf 1965; Wang & Jia, AISTATS 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.lazy import Bool, Float, torch
from tagxai.methods.families.table import TableMethod
from tagxai.scoring import ScoreTable, banzhaf_values, random_subsets


@dataclass(frozen=True)
class Banzhaf(TableMethod):
    """Banzhaf values of words: the mean gain over all subsets, each as likely (Banzhaf 1965; Wang & Jia 2023)."""

    name: ClassVar[str] = "banzhaf"
    expense: ClassVar[str] = "2^words forward passes, at most `samples`, in batches"

    samples: int = 1024
    """Subsets to score, at random with probability 1/2; all subsets where these are no more."""
    seed: int = 0
    """Seed of the draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("samples", self.samples >= 2, "at least 2")

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return random_subsets(units, self.samples, seed=self.seed)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        return banzhaf_values(table.masks, table.log_prob)
