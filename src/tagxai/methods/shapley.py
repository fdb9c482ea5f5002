"""Shapley values of the prompt's words: each word's fair share of the clip's log-probability (Shapley 1953).

Exact for short prompts. For long ones, marginal gains along random orders of the words and their reverses (Castro,
Gomez, Tejada 2009; antithetic pairs: Mitchell et al., JMLR 2022), until their standard error is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

from jaxtyping import Bool, Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation, OnProgress, Progress
from tagxai.lazy import torch
from tagxai.scoring import ScoreTable, TableMethod, all_subsets, permuted, shapley
from tagxai.text.words import Unit

PAIRS_AT_ONCE = 4


@dataclass(frozen=True)
class Shapley(TableMethod):
    """Shapley values of words for every audio code, exact or sampled (Shapley 1953; Lundberg & Lee, NeurIPS 2017)."""

    name: ClassVar[str] = "shapley"
    passes = (
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
    """Of the orders."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("exact_up_to", 0 <= self.exact_up_to <= 20, "between 0 and 20")
        self.require("tolerance", self.tolerance > 0, "positive")
        self.require("permutations", self.permutations >= 4, "at least 4")

    def coalitions(self, units: int) -> Bool[torch.Tensor, "coalitions units"]:
        return all_subsets(units)

    def values(self, table: ScoreTable) -> Float[torch.Tensor, "units codebooks frames"]:
        return shapley(table)

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        units = self.units(generation)
        if len(units) <= self.exact_up_to:
            return super().attribute(generator, generation, on_progress=on_progress)
        values, cost, diagnostics = self._sample(generator, generation, units, on_progress)
        return self.attribution(generation, units, values, cost, diagnostics)

    def _sample(
        self, generator: Generator, generation: Generation, units: Sequence[Unit], on_progress: OnProgress | None
    ) -> tuple[torch.Tensor, dict[str, float], dict[str, Any]]:
        started = perf_counter()
        random = torch.Generator().manual_seed(self.seed)
        total = torch.zeros(len(units), *generation.codes.shape, dtype=torch.float64)
        clip_values: list[torch.Tensor] = []  # of each pair: every unit's gain over the whole clip
        cost: dict[str, float] = {}
        error = torch.full((len(units),), torch.inf)
        most = self.permutations // 2
        while len(clip_values) < most:
            pairs = min(PAIRS_AT_ONCE, most - len(clip_values))
            orders = torch.stack([torch.randperm(len(units), generator=random) for _ in range(pairs)])
            orders = torch.stack([orders, orders.flip(1)], dim=1).flatten(0, 1)
            table = self.score(generator, generation, units, permuted(orders.tolist()), None)
            gains = table.log_prob.double().unflatten(0, (len(orders), -1)).diff(dim=1)  # [orders, places, ...]
            gains = torch.stack([gain[order.argsort()] for gain, order in zip(gains, orders, strict=True)])
            total += gains.sum(0)
            clip_values += gains.sum((2, 3)).unflatten(0, (pairs, 2)).mean(1)
            for key, spent in table.cost.items():
                cost[key] = max(cost.get(key, 0), spent) if key == "peak_memory_bytes" else cost.get(key, 0) + spent
            if on_progress is not None:
                on_progress(Progress(len(clip_values), most, "sampling orders"))
            seen = torch.stack(clip_values)
            if len(seen) > 1:
                error = seen.std(0) / len(seen) ** 0.5
            if len(seen) > PAIRS_AT_ONCE and error.max() <= self.tolerance * seen.mean(0).abs().max():
                break
        cost["seconds"] = perf_counter() - started
        diagnostics = {"permutations": 2 * len(clip_values), "standard_errors": error.tolist()}
        return total / (2 * len(clip_values)), cost, diagnostics
