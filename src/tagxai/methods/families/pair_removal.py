"""What a unit is worth beside the absence of a near one, since a neighbour may say the same.

"a dog barks" names the dog twice: either word suffices, so taking away one of them loses nothing. Beside the absence of
the other, each is worth what the two are worth together. With lost(S) what is lost without the units S, the effect of
unit i is the largest, by its mean, of lost(i) and lost(i, j) - lost(j), over units j at most `distance` away.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool, Float

from tagxai.lazy import torch
from tagxai.scoring import ScoreTable, leave_one_out


def one_or_two_left_out(units: int, distance: int) -> Bool[torch.Tensor, "coalitions units"]:
    """All units, then all but each one, then all but each two that are at most `distance` apart."""
    pairs = [(first, second) for first in range(units) for second in _near(first, units, distance) if second > first]
    without_two = torch.ones(len(pairs), units, dtype=torch.bool)
    for row, pair in zip(without_two, pairs, strict=True):
        row[list(pair)] = False
    return torch.cat([leave_one_out(units), without_two])


def effects_beside(table: ScoreTable, distance: int) -> Float[torch.Tensor, "units streams frames"]:
    """Each unit's effect, from a table of the coalitions of `one_or_two_left_out`."""
    missing = [frozenset((~kept).nonzero()[:, 0].tolist()) for kept in table.masks]
    lost = dict(zip(missing, table.log_prob[0] - table.log_prob, strict=True))
    units = len(table.units)
    return torch.stack([_largest(lost, unit, _near(unit, units, distance)) for unit in range(units)])


def _largest(lost: dict[frozenset[int], torch.Tensor], unit: int, near: Sequence[int]) -> torch.Tensor:
    alone = lost[frozenset({unit})]
    beside = (lost[frozenset({unit, other})] - lost[frozenset({other})] for other in near)
    return max((alone, *beside), key=lambda effect: float(effect.mean()))


def _near(unit: int, units: int, distance: int) -> list[int]:
    return [other for other in range(units) if other != unit and abs(other - unit) <= distance]
