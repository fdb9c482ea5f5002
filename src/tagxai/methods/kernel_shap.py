"""Kernel SHAP: Shapley values by weighted least squares (Lundberg & Lee, NeurIPS 2017, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.lazy import Bool, Float, torch
from tagxai.methods.families.table import TableMethod
from tagxai.scoring import ScoreTable, kernel_shap, random_subsets


@dataclass(frozen=True)
class KernelShap(TableMethod):
    """Kernel SHAP: Shapley values of words estimated by regression on subsets (Lundberg & Lee 2017)."""

    name: ClassVar[str] = "kernel_shap"
    expense: ClassVar[str] = "2^words forward passes, at most `samples`, in batches"

    samples: int = 256
    """Subsets to score, of all sizes equally often; all subsets where these are no more."""
    seed: int = 0
    """Seed of the draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("samples", self.samples >= 3, "at least 3")

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return random_subsets(units, self.samples, by_size=True, seed=self.seed)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        return kernel_shap(table.masks, table.log_prob)
