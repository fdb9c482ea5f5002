"""Occlusion: what each code loses when one word is taken away (Zeiler & Fergus, ECCV 2014, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.methods.families.table import TableMethod
from tagxai.scoring import ScoreTable, leave_one_out, leave_one_out_values


@dataclass(frozen=True)
class Occlusion(TableMethod):
    """Leave one out, by any operator: what each code loses without a word (Zeiler & Fergus 2014)."""

    name: ClassVar[str] = "occlusion"
    expense: ClassVar[str] = "1 + words forward passes, in batches"

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return leave_one_out(units)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        return leave_one_out_values(table.masks, table.log_prob)
