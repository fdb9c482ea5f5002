"""How many prompts a comparison of methods needs before it can say anything."""

from __future__ import annotations

from math import ceil, log2

from tagxai.metrics.intervals import FEWEST, FEWEST_UNBOUNDED

SIGNIFICANT = 0.05


def least_p(prompts: int) -> float:
    """The smallest two-sided p-value of a paired sign-flip test: that of prompts which all point one way.

    >>> least_p(5)
    0.0625
    """
    return min(1.0, 2.0 ** (1 - prompts))


def prompts_needed(tests: int, level: float = SIGNIFICANT) -> int:
    """The fewest prompts with which the clearest of so many tests can be significant after Holm's correction.

    >>> prompts_needed(1), prompts_needed(10)
    (6, 9)
    """
    return ceil(1 - log2(level / max(1, tests)))


def what_they_allow(prompts: int, pairs: int) -> list[str]:
    """What so many prompts allow: the tests of `pairs` of methods, and intervals."""
    needed = prompts_needed(pairs)
    verdict = "enough" if prompts >= needed else f"too few: {needed} prompts are needed"
    compared = (
        f"for {number(pairs, 'pair')} of methods with Holm's correction that is {verdict}"
        if pairs
        else "no two methods can be compared"
    )
    return [
        f"{number(prompts, 'prompt')}: a paired sign-flip test cannot be under p = {least_p(prompts):.3g}; {compared}",
        f"intervals need {FEWEST} prompts, {FEWEST_UNBOUNDED} for metrics without bounds, 2 for hits and misses",
    ]


def number(count: int, noun: str) -> str:
    """A count with its noun.

    >>> number(1, "seed"), number(1200, "clip")
    ('1 seed', '1,200 clips')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
