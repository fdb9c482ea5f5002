"""The texts of options as values: settings and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tagxai.errors import TagxaiError
from tagxai.explaining.explanation import Interval


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a dictionary, with underscores for the dashes of keys."""
    settings = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.strip():
            raise TagxaiError(f"--set takes KEY=VALUE, such as epochs=20, not {pair!r}")
        method, dot, option = key.strip().rpartition(".")
        settings[method + dot + option.replace("-", "_")] = value.strip()
    return settings


def parse_intervals(texts: Sequence[str], duration: float | None, option: str = "--interval") -> list[Interval]:
    """`START:END` texts as seconds; where the clip's duration is given, they must lie inside it."""
    intervals = []
    for text in texts:
        try:
            start, end = (float(part) for part in text.split(":"))
        except ValueError:
            raise TagxaiError(f"{option} takes START:END in seconds, such as 1.0:2.5, not {text!r}") from None
        if not (0 <= start < end < math.inf):
            raise TagxaiError(f"{option} takes 0 <= START < END in seconds, not {text!r}")
        if duration is not None and end > duration:
            raise TagxaiError(f"interval {start:g}:{end:g} s does not fit the clip: it has {duration:g} s")
        intervals.append((start, end))
    return intervals
