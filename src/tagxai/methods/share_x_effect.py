"""Share x effect: *where* a word is read, from value zeroing, times *whether* it matters, from deleting it.

Attention-type methods know where a sound is, but score words that the model reads in vain. Likelihoods know which
words had an effect, but show it at a sound's onset, from where on the clip's own past foretells the rest. So:

    score of a word for a code = its share of value zeroing at the code's frame x max(0, its effect on the code)

A word's effect is what the code's log-probability loses when the word is deleted from the text; or is deleted beside
the absence of near words that may say the same, if that costs the code more (see `families.joint_removal`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.generator import Capability, Generator
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.lazy import Bool, Float, torch
from tagxai.methods.families.joint_removal import DISTANCE, effects_beside, near_ones_left_out
from tagxai.methods.families.table import TableMethod
from tagxai.probing.zeroed_values import check_layers, shares_of_frames
from tagxai.scoring import Operator, ScoreTable


@dataclass(frozen=True)
class ShareXEffect(TableMethod):
    """Share x effect: value zeroing's share of each frame times what deleting the word costs the clip."""

    family: ClassVar[str] = "product"
    name: ClassVar[str] = "share_x_effect"
    expense: ClassVar[str] = "1 + words x (2 + distance) forward passes, in batches, and those of value_zeroing"
    remedy: ClassVar[str] = "its effects alone are those of method 'occlusion' with operator=delete and beside=3"

    operator: Operator = "delete"
    """How a word is taken away: `delete` (its text), or as in `occlusion`."""
    distance: int = DISTANCE
    """A word is also taken away beside the absence of each word at most so far from it, and, from 2 up, of two words
    that make a run of three with it; 0 takes each away alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("distance", self.distance >= 0, "at least 0")

    def needed(self) -> frozenset[Capability]:
        """Attention, for value zeroing, whatever the operator."""
        return self.needs

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return near_ones_left_out(units, self.distance)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        return effects_beside(table, of_each_code=True)

    def check_model(self, generator: Generator) -> None:
        check_layers(generator.cross_attention())

    def explain(self, run: Run) -> Scores:
        shares = shares_of_frames(run)
        units = self.units(run.generation)
        effects = self.values(self.score(run, units, self.coalitions(len(units))))
        scores = torch.zeros(*effects.shape[1:], shares.shape[-1])
        for unit, effect in zip(units, effects.float().clamp(min=0), strict=True):
            tokens = list(unit.tokens)
            scores[..., tokens] = shares[..., tokens] * effect[..., None]
        return Scores(scores)
