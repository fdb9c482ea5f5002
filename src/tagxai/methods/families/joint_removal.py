"""What a unit is worth beside the absence of near ones, since its neighbours may say the same.

"a dog barks" names the dog twice: either word suffices, so taking away one of them loses nothing. Beside the absence of
the other, each is worth what the two are worth together; each word of "a smoke detector beeps", beside that of two.
With lost(S) what is lost without the units S, and R nothing, one near unit, or two that make a run of three with unit
i, the effect of i is the largest of lost(R and i) - lost(R).
"""

from __future__ import annotations

from itertools import combinations

from tagxai.lazy import Bool, Float, torch
from tagxai.scoring import ScoreTable, leave_one_out

DISTANCE = 3
"""Which units are near. Chosen on validation prompts: beside runs of three, 4 costs more and finds no more."""


def near_ones_left_out(units: int, distance: int) -> Bool[torch.Tensor, "coalitions units"]:
    """All units; then all but one; all but two at most `distance` apart; all but a run of three, from distance 2 up."""
    pairs = [pair for pair in combinations(range(units), 2) if pair[1] - pair[0] <= distance]
    runs = [(first, first + 1, first + 2) for first in range(units - 2)] if distance >= 2 else []
    together = torch.ones(len(pairs) + len(runs), units, dtype=torch.bool)
    for row, missing in zip(together, [*pairs, *runs], strict=True):
        row[list(missing)] = False
    return torch.cat([leave_one_out(units), together])


def effects_beside(table: ScoreTable, *, of_each_code: bool = False) -> Float[torch.Tensor, "units streams frames"]:
    """Each unit's effect, from a table of the coalitions of `near_ones_left_out`.

    "Largest" is by the mean over the clip, so that effects are those of one removal; or, code by code, `of_each_code`.
    """
    missing = [frozenset((~kept).nonzero()[:, 0].tolist()) for kept in table.masks]
    lost = dict(zip(missing, table.log_prob[0] - table.log_prob, strict=True))
    found = []
    for unit in range(len(table.units)):
        effects = [loss - lost[without - {unit}] for without, loss in lost.items() if unit in without]
        found.append(torch.stack(effects).amax(0) if of_each_code else max(effects, key=lambda e: float(e.mean())))
    return torch.stack(found)
