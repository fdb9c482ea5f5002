"""Percentile bootstrap of a mean over clips, of one method or of the paired difference of two (Efron, 1979)."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float

from tagxai.lazy import torch

CHUNK = 1000
"""Resamples drawn at once."""


class Interval(NamedTuple):
    """A mean, and the bounds of its confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: Float[torch.Tensor, " clips"],
    others: Float[torch.Tensor, " clips"] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The mean of `values`, or of `values - others` clip by clip, with its percentile interval over resampled clips.

    Both scores of a clip are drawn together: a clip that is hard for both methods does not widen the interval of
    their difference.

    >>> import torch
    >>> bootstrap(torch.tensor([1.0, 1.0, 1.0]))
    Interval(mean=1.0, low=1.0, high=1.0)
    >>> bootstrap(torch.tensor([0.25, 1.0, 0.5]), torch.tensor([0.0, 0.75, 0.25]))
    Interval(mean=0.25, low=0.25, high=0.25)
    """
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"expected a level between 0 and 1 and at least 1 resample, not {level:g} and {resamples}")
    if not len(values) or (others is not None and len(others) != len(values)):
        raise ValueError("expected at least one clip, and the same clips of both")
    clips = (values if others is None else values - others).double().cpu()
    random = torch.Generator().manual_seed(seed)
    tail = (1 - level) / 2
    means = []
    for left in range(resamples, 0, -CHUNK):
        drawn = torch.randint(len(clips), (min(left, CHUNK), len(clips)), generator=random)
        means.append(clips[drawn].mean(1))
    low, high = torch.cat(means).quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(float(clips.mean()), low, high)
