"""How large and how small a number may be anywhere: what is beyond overflows in float32, or never ends."""

from __future__ import annotations

from typing import Any

from tagxai.errors import TagxaiError

LARGEST = 1e6
"""The largest fraction taken: larger ones overflow once they are multiplied or exponentiated."""

SMALLEST = 1e-6
"""The smallest fraction taken, apart from 0: what is divided by smaller ones overflows."""

MOST = 10_000_000
"""The largest whole number taken; these count something: steps, samples, clips."""


def check_magnitude(what: str, value: Any, *, seed: bool = False) -> None:
    """Raises TagxaiError for a number that no setting can mean. Seeds may have any size."""
    if isinstance(value, bool) or seed:
        return
    if isinstance(value, int) and abs(value) > MOST:
        given = f"{value:,}" if abs(value) < 10**30 else "a number of more than 30 digits"
        bound = f"at most {MOST:,}" if value > 0 else f"at least {-MOST:,}"
        raise TagxaiError(f"{what} takes {bound}, not {given}")
    if isinstance(value, float) and value and not SMALLEST <= abs(value) <= LARGEST:
        raise TagxaiError(f"{what} takes 0, or a size from {SMALLEST:g} to {LARGEST:g}, not {value:g}")


def shown(value: Any) -> str:
    """A value as it was given, at most 60 characters of it; Python does not print numbers of over 4,300 digits."""
    try:
        return f"{value!r:.60}"
    except ValueError:
        return "a number of thousands of digits"
