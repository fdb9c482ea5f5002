"""Shapley values of the prompt's words: each word's fair share of the clip's log-probability (Shapley 1953).

Exact for short prompts. For long ones, marginal gains along random orders of the words and their reverses (Castro,
Gomez, Tejada 2009; antithetic pairs: Mitchell et al., JMLR 2022), until their standard error is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.lazy import Bool, Float, torch
from tagxai.methods.families.table import TableMethod
from tagxai.scoring import ScoreTable, all_subsets, permuted, shapley

PAIRS_AT_ONCE = 4


@dataclass(frozen=True)
class Shapley(TableMethod):
    """Shapley values of words for every audio code, exact or sampled (Shapley 1953; Lundberg & Lee, NeurIPS 2017)."""

    name: ClassVar[str] = "shapley"
    expense: ClassVar[str] = (
        "2^words forward passes up to 10 words (with `</s>`), then one for each word of each sampled order; in batches"
    )

    exact_up_to: int = 10
    """Up to this many words, `</s>` among them, all subsets are scored; beyond, random orders of the words."""
    tolerance: float = 0.05
    """Sampling stops when no word's standard error, of its value for the whole clip, is more than this share of the
    largest value."""
    permutations: int = 128
    """The most orders to sample, each next to its reverse."""
    seed: int = 0
    """Seed of the sampled orders."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("exact_up_to", 0 <= self.exact_up_to <= 20, "between 0 and 20")
        self.require("tolerance", self.tolerance > 0, "positive")
        self.require("permutations", self.permutations >= 4, "at least 4")

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return all_subsets(units)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
        return shapley(table)

    def explain(self, run: Run) -> Scores:
        units = self.units(run.generation)
        if len(units) <= self.exact_up_to:
            return super().explain(run)
        random = torch.Generator().manual_seed(self.seed)
        clip = run.generation
        total = torch.zeros(len(units), clip.streams, clip.frames, dtype=torch.float64)
        clip_values: list[torch.Tensor] = []  # of each pair: every unit's gain over the whole clip
        error = torch.full((len(units),), torch.inf)
        most = self.permutations // 2
        while len(clip_values) < most:
            pairs = min(PAIRS_AT_ONCE, most - len(clip_values))
            orders = torch.stack([torch.randperm(len(units), generator=random) for _ in range(pairs)])
            orders = torch.stack([orders, orders.flip(1)], dim=1).flatten(0, 1)
            table = self.score(run, units, permuted(orders.tolist()), quiet=True)
            gains = table.log_prob.double().unflatten(0, (len(orders), -1)).diff(dim=1)  # [orders, places, ...]
            gains = torch.stack([gain[order.argsort()] for gain, order in zip(gains, orders, strict=True)])
            total += gains.sum(0)
            clip_values += gains.sum((2, 3)).unflatten(0, (pairs, 2)).mean(1)
            run.report(len(clip_values), most, "sampling orders")
            seen = torch.stack(clip_values)
            if len(seen) > 1:
                error = seen.std(0) / len(seen) ** 0.5
            if len(seen) > PAIRS_AT_ONCE and error.max() <= self.tolerance * seen.mean(0).abs().max():
                break
        found = {"permutations": 2 * len(clip_values), "standard_errors": error.tolist()}
        return self.spread(run, units, total / (2 * len(clip_values)), found)
