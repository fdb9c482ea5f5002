"""The numbers of a plan: which kind each option takes, and its bounds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tagxai.errors import TagxaiError


class Bounds(NamedTuple):
    """What a number must be. Without `least` it must be more than 0."""

    whole: bool = False
    least: float | None = None
    most: float = math.inf


BOUNDS = {
    "duration": Bounds(),
    "time_limit": Bounds(most=1e9),
    "threads": Bounds(whole=True, least=1, most=4096),
    "workers": Bounds(whole=True, least=1, most=4096),
}


def check_number(name: str, value: Any) -> None:
    """Raises TagxaiError where the value is neither None nor a number that the option takes."""
    if value is None:
        return
    whole, least, most = BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise TagxaiError(f"{name} takes a {'whole ' if whole else ''}number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise TagxaiError(f"{name} has a number of more than 300 digits") from None
    if number > most:
        raise TagxaiError(f"{name} takes at most {most:g}, not {number:g}")
    if not math.isfinite(number) or (number <= 0 if least is None else number < least):
        raise TagxaiError(f"{name} takes {'more than 0' if least is None else f'at least {least}'}, not {number:g}")


def check_seeds(seeds: Any) -> None:
    """Raises TagxaiError where they are not a list of seeds."""
    if not isinstance(seeds, (list, tuple)) or not seeds or not all(type(seed) is int for seed in seeds):
        raise TagxaiError(f"seeds takes a list of whole numbers, not {seeds!r}")
    if any(not 0 <= seed < 2**32 for seed in seeds):
        raise TagxaiError(f"seeds are from 0 to {2**32 - 1}, not {', '.join(map(str, seeds))}")
