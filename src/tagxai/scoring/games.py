"""Cooperative games on a score table: what each unit, and each pair, is worth. Arithmetic alone, no model.

`masks[coalitions, units]` say which units were kept and `values[coalitions, *outputs]` what the coalitions are worth,
for one output (`table.value(frames)`) or all codes at once (`table.log_prob`).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product
from math import comb
from typing import Literal

from tagxai.errors import TagxaiError
from tagxai.lazy import Bool, Float, torch
from tagxai.scoring.table import ScoreTable

Index = Literal["shapley", "banzhaf"]


def shapley(table: ScoreTable) -> Float[torch.Tensor, "units streams frames"]:
    """Exact Shapley values of every code from a table of all subsets (`all_subsets`); they add up to
    `log_prob[all] - log_prob[none]`. (Shapley 1953; Lundberg & Lee, NeurIPS 2017.)
    """
    return shapley_values(table.masks, table.log_prob)


def shapley_values(
    masks: Bool[torch.Tensor, "coalitions units"], values: Float[torch.Tensor, " coalitions *outputs"]
) -> Float[torch.Tensor, " units *outputs"]:
    """The gain by a unit, averaged over all orders in which units can join; needs all subsets. (Shapley 1953.)"""
    worth = _by_subset(masks, values)
    return torch.stack([_mean_difference(worth, (unit,), "shapley") for unit in range(masks.shape[1])]).to(values.dtype)


def shapley_interactions(
    masks: Bool[torch.Tensor, "coalitions units"], values: Float[torch.Tensor, " coalitions *outputs"]
) -> Float[torch.Tensor, " units units *outputs"]:
    """The Shapley interaction index of each pair (Grabisch & Roubens 1999); needs all subsets.

    Positive where two units do more together than alone, negative where one stands in for the other. Symmetric, with
    zeros on the diagonal.
    """
    return _interactions(masks, values, "shapley")


def banzhaf_interactions(
    masks: Bool[torch.Tensor, "coalitions units"], values: Float[torch.Tensor, " coalitions *outputs"]
) -> Float[torch.Tensor, " units units *outputs"]:
    """The Banzhaf interaction index of each pair (Grabisch & Roubens 1999); needs all subsets."""
    return _interactions(masks, values, "banzhaf")


def leave_one_out_values(
    masks: Bool[torch.Tensor, "coalitions units"], values: Float[torch.Tensor, " coalitions *outputs"]
) -> Float[torch.Tensor, " units *outputs"]:
    """The loss when one unit alone is taken away; needs the coalitions of `leave_one_out`, among any others."""
    units = masks.shape[1]
    whole = _row(masks, range(units))
    return torch.stack([values[whole] - values[_row(masks, set(range(units)) - {u})] for u in range(units)])


def minimal_sufficient(
    masks: Bool[torch.Tensor, "coalitions units"], values: Float[torch.Tensor, " coalitions"], share: float = 0.9
) -> list[tuple[int, ...]]:
    """The sets of units that alone keep at least `share` of the prompt's effect, while none of their subsets does.

    The effect of a set is its value less that of no unit. Smallest sets first, of one size the most effective first.
    All sets among the coalitions are tried, so with all subsets none is missed. Raises TagxaiError where the whole
    prompt has no positive effect, since no set could keep it.
    """
    effect, whole = _effects(masks, values)
    return _minimal(masks, effect, effect >= share * whole)


def minimal_necessary(
    masks: Bool[torch.Tensor, "coalitions units"], values: Float[torch.Tensor, " coalitions"], share: float = 0.9
) -> list[tuple[int, ...]]:
    """The sets of units without which at least `share` of the prompt's effect is gone, while none of their subsets
    is: the remaining units keep at most `1 - share` of it. Order and errors as for `minimal_sufficient`.
    """
    effect, whole = _effects(masks, values)
    return _minimal(~masks, -effect, effect <= (1 - share) * whole)


def _effects(masks: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, float]:
    effect = (values - values[_row(masks, ())]).double()
    whole = effect[_row(masks, range(masks.shape[1]))].item()
    if whole <= 0:
        raise TagxaiError(
            f"the prompt does not make these codes likelier (its effect is {whole:.3g}), so no words keep or lose it"
        )
    return effect, whole


def _minimal(masks: torch.Tensor, worth: torch.Tensor, holds: torch.Tensor) -> list[tuple[int, ...]]:
    """The rows of `masks` that hold and have no subset that does, small ones first, then by `worth`."""
    sets = masks[holds].unique(dim=0).long()
    best = {tuple(row.nonzero()[:, 0].tolist()): float(value) for row, value in zip(masks, worth, strict=True)}
    inside = sets @ (1 - sets).T == 0  # [a, b]: a is a subset of b
    minimal = sets[inside.sum(0) == 1]  # of nothing but itself
    found = [tuple(row.nonzero()[:, 0].tolist()) for row in minimal]
    return sorted(found, key=lambda chosen: (len(chosen), -best[chosen], chosen))


def _interactions(masks: torch.Tensor, values: torch.Tensor, index: Index) -> torch.Tensor:
    worth, units = _by_subset(masks, values), masks.shape[1]
    result = values.new_zeros(units, units, *values.shape[1:])
    for pair in combinations(range(units), 2):
        result[pair] = result[pair[::-1]] = _mean_difference(worth, pair, index).to(values.dtype)
    return result


def _by_subset(masks: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """`values` of all subsets, in the order of `all_subsets`."""
    units = masks.shape[1]
    at = {subset: row for row, subset in enumerate((masks.long() << torch.arange(units)).sum(1).tolist())}
    if len(at) != 2**units:
        raise ValueError(f"exact values of {units} units need all {2**units} coalitions, the table has {len(at)}")
    return values[[at[subset] for subset in range(2**units)]].double()


def _mean_difference(worth: torch.Tensor, chosen: tuple[int, ...], index: Index) -> torch.Tensor:
    """The discrete derivative by the `chosen` units, averaged over the subsets of the others: each subset has
    the same weight (Banzhaf), or each size has, shared equally by its subsets (Shapley)."""
    subsets = torch.arange(len(worth))
    units = len(worth).bit_length() - 1
    others = [unit for unit in range(units) if unit not in chosen]
    absent = subsets[(subsets & sum(1 << unit for unit in chosen)) == 0]
    sizes = sum((absent >> unit & 1 for unit in others), start=torch.zeros_like(absent))
    difference = torch.zeros_like(worth[absent])
    for kept in product((0, 1), repeat=len(chosen)):
        sign = (-1) ** (len(chosen) - sum(kept))
        difference += sign * worth[absent + sum(1 << unit for unit, keep in zip(chosen, kept, strict=True) if keep)]
    weights = [
        1 / ((len(others) + 1) * comb(len(others), size)) if index == "shapley" else 1 / 2 ** len(others)
        for size in range(len(others) + 1)
    ]
    return torch.tensordot(torch.tensor(weights, dtype=worth.dtype)[sizes], difference, dims=1)


def _row(masks: torch.Tensor, kept: Iterable[int]) -> int:
    """The first coalition that keeps exactly `kept`."""
    wanted = torch.zeros(masks.shape[1], dtype=torch.bool)
    wanted[list(kept)] = True
    rows = (masks == wanted).all(1).nonzero()
    if not len(rows):
        raise ValueError(
            f"the table lacks the coalition that keeps the units {sorted(wanted.nonzero()[:, 0].tolist())}"
        )
    return int(rows[0])
