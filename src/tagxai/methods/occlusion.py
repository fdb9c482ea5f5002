"""Occlusion: what each code loses when one word is taken away (Zeiler & Fergus, ECCV 2014, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.lazy import Bool, Float, torch
from tagxai.methods.families.joint_removal import effects_beside, near_ones_left_out
from tagxai.methods.families.table import TableMethod
from tagxai.scoring import ScoreTable


@dataclass(frozen=True)
class Occlusion(TableMethod):
    """Leave one out, by any operator: what each code loses without a word (Zeiler & Fergus 2014)."""

    name: ClassVar[str] = "occlusion"
    expense: ClassVar[str] = "1 + words forward passes, in batches; `beside` more words, as many again for each"

    beside: int | None = None
    """Take a word away beside the absence of each word at most so far from it, too (from 2 up: also of two words next
    to it), and keep the largest loss: words that say the same as their neighbours ("dog", "barks") then count. None
    takes each word away alone, as the paper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("beside", self.beside is None or self.beside >= 1, "at least 1")

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return near_ones_left_out(units, self.beside or 0)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        return effects_beside(table)
