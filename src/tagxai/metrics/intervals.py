"""Confidence intervals of a mean over few clips: exact for hits and misses, corrected for skewness for the rest.

Values that all lie on a metric's two bounds (0 or 1) have the interval of Clopper and Pearson (1934), which covers at
any number of clips. Others have the union of Student's interval and that of Hall's transformation (1992), from `FEWEST`
clips on, or `FEWEST_UNBOUNDED`: over fewer, no interval covers what skewed values can hide. A percentile bootstrap
covers too little at any of these sizes, and says [x, x] of one clip. `benchmarks/interval_coverage.py` measures all of
this.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import atan, cbrt, cos, exp, isfinite, lgamma, log, log1p, pi, sqrt
from typing import NamedTuple

from tagxai.lazy import Float, torch

FEWEST = 12
"""Clips that an interval of values other than hits and misses needs, where both of their bounds are known."""

FEWEST_UNBOUNDED = 30
"""Clips that it needs where they are not: a few values can hide a tail that outweighs them all."""


ROUNDING = 1e-6
"""Values that differ by less, relative to their size, are equal: metrics compute in float32."""


class Interval(NamedTuple):
    """A mean, and the bounds of its confidence interval; both None where there is none that covers."""

    mean: float
    low: float | None = None
    high: float | None = None

    def text(self, digits: int = 3, sign: str = "") -> str:
        """The mean and, where there are, its bounds.

        >>> Interval(0.5, 0.25, 0.75).text(2), Interval(0.5).text(2, "+")
        ('0.50 [0.25, 0.75]', '+0.50')
        """
        mean, *bounds = (f"{each:{sign}z.{digits}f}" for each in self if each is not None)
        return f"{mean} [{', '.join(bounds)}]" if bounds else mean


def mean_interval(
    values: Float[torch.Tensor, " clips"],
    others: Float[torch.Tensor, " clips"] | None = None,
    *,
    bounds: tuple[float, float] | None = None,
    level: float = 0.95,
) -> Interval:
    """The mean of `values`, or of `values - others` clip by clip, with an interval where one can be had.

    `bounds` are the least and the greatest value that are possible, where they are known. Both scores of a clip are
    taken together: a clip that is hard for both methods does not widen the interval of their difference.

    >>> import torch
    >>> mean_interval(torch.tensor([1.0]), bounds=(0, 1)), mean_interval(torch.tensor([0.25, 1.0, 0.5]))
    (Interval(mean=1.0, low=None, high=None), Interval(mean=0.5833333333333334, low=None, high=None))
    >>> mean_interval(torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0]), bounds=(0, 1)).text()
    '0.800 [0.284, 0.995]'
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, not {level:g}")
    if not len(values) or (others is not None and len(others) != len(values)):
        raise ValueError("expected at least one clip, and the same clips of both")
    clips = (values if others is None else values.double() - others).double().cpu()
    low, high = bounds if bounds is not None else (-torch.inf, torch.inf)
    for bound in filter(isfinite, (low, high)):
        span = high - low if isfinite(high - low) else max(1.0, abs(bound))
        clips = torch.where((clips - bound).abs() <= ROUNDING * span, bound, clips)
    n, mean, tail = len(clips), float(clips.mean()), (1 - level) / 2
    size = max(float(each.double().abs().max()) for each in (values, *([] if others is None else [others])))
    if not isfinite(size) or float(clips.min()) < low or float(clips.max()) > high:  # then nothing is known of bounds
        return Interval(mean)
    if isfinite(low) and isfinite(high) and n > 1 and bool(((clips == low) | (clips == high)).all()):
        hits = int((clips == high).sum())
        return Interval(mean, *(low + (high - low) * share for share in clopper_pearson(hits, n, tail)))
    spread = float(clips.std()) if n > 1 else 0.0
    fewest = FEWEST if isfinite(low) and isfinite(high) else FEWEST_UNBOUNDED
    if n < fewest or spread <= ROUNDING * size:
        return Interval(mean)
    below, above = _student_and_hall(clips, student_quantile(1 - tail, n - 1))
    if not (isfinite(below) and isfinite(above)):
        return Interval(mean)
    return Interval(mean, max(low, below), min(high, above))


def _student_and_hall(clips: Float[torch.Tensor, " clips"], quantile: float) -> tuple[float, float]:
    """The union of Student's interval and that of Hall's cubic transformation, which corrects for skewness.

    P. Hall. On the removal of skewness by transformation. *JRSS B* 54, 1992.
    """
    n, mean = len(clips), float(clips.mean())
    centred = clips - mean
    deviation = sqrt(float(centred.square().mean()))
    skewness = float(centred.pow(3).mean()) / deviation**3

    def untransformed(y: float) -> float:
        """The studentised error that Hall's transformation takes to `y`."""
        if abs(skewness) < 1e-6:
            return y
        return 3 * (cbrt(1 + skewness * (y - skewness / (6 * n))) - 1) / skewness

    margin = quantile / sqrt(n)
    student = margin * deviation * sqrt(n / (n - 1))
    hall = [mean - untransformed(sign * margin) * deviation for sign in (1, -1)]
    return min(mean - student, *hall), max(mean + student, *hall)


@cache
def clopper_pearson(hits: int, n: int, tail: float) -> tuple[float, float]:
    """The shares under which so many hits, or more, and so many, or fewer, have a probability of `tail`.

    >>> [round(share, 4) for share in clopper_pearson(12, 12, 0.025)]
    [0.7354, 1.0]
    """

    def at_least(k: int, p: float) -> float:
        if not 0 < p < 1:
            return float(p >= 1)
        logs = (
            lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p)
            for i in range(k, n + 1)
        )
        return sum(map(exp, logs))

    low = 0.0 if hits == 0 else _root(lambda p: at_least(hits, p) - tail, 0.0, 1.0)
    high = 1.0 if hits == n else _root(lambda p: at_least(hits + 1, p) - 1 + tail, 0.0, 1.0)
    return low, high


@cache
def student_quantile(p: float, df: int) -> float:
    """The quantile of Student's t for a whole number of degrees of freedom, at p > 1/2.

    >>> round(student_quantile(0.975, 11), 4), round(student_quantile(0.975, 60), 4)
    (2.201, 2.0003)
    """
    return _root(lambda t: _student(t, df) - p, 0.0, 1e6)


def _student(t: float, df: int) -> float:
    """The distribution function at t >= 0, a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = atan(t / sqrt(df))
    square = cos(angle) ** 2
    term, total = (cos(angle) if df % 2 else 1.0), 0.0
    for k in range(3 if df % 2 else 2, df + 1, 2):
        total += term
        term *= square * (k - 1) / k
    sine = t / sqrt(df + t * t)
    within = 2 / pi * (angle + sine * total) if df % 2 else sine * total
    return (1 + within) / 2


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function crosses 0, by bisection to the last bit."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return middle
