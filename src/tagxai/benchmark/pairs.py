"""Every pair of methods compared prompt by prompt, and the groups of methods that cannot be distinguished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from tagxai.benchmark.statistics import holm, paired_delta, sign_flips
from tagxai.lazy import torch
from tagxai.metrics.intervals import Interval, mean_interval

SIGNIFICANT = 0.05


class Pair(NamedTuple):
    """The difference of a method from another over the prompts that both have; fields as those of `Difference`."""

    method: str
    other: str
    interval: Interval
    prompts: int
    p: float
    holm: float
    delta: float


class Place(NamedTuple):
    """A method's rank by its mean, from 1, and the letters of its groups: methods with a letter in common cannot be
    distinguished."""

    rank: int
    groups: str


def every_pair(methods: Mapping[str, Mapping[str, float]], bounds: tuple[float, float] | None = None) -> list[Pair]:
    """All pairs that share a prompt, corrected by Holm's procedure for their number.

    `methods` holds each method's value for each prompt; `bounds` are those of the metric, where they are known.
    """
    most = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
    found = []
    for (method, mine), (other, its) in combinations(methods.items(), 2):
        shared = [prompt for prompt in mine if prompt in its]
        if shared:
            values = torch.tensor([[each[prompt] for prompt in shared] for each in (mine, its)], dtype=torch.float64)
            found.append((method, other, values))
    p_values = sign_flips([mine - its for _, _, (mine, its) in found])
    return [
        Pair(method, other, mean_interval(a, b, bounds=most), len(a), p, corrected, paired_delta(a - b))
        for (method, other, (a, b)), p, corrected in zip(found, p_values, holm(p_values), strict=True)
    ]


def places(means: Mapping[str, float], pairs: Iterable[Pair], *, higher_is_better: bool) -> dict[str, Place]:
    """The rank and groups of each method, best first.

    >>> apart = [Pair("a", "c", Interval(1.0), 9, 0.01, 0.03, 1.0)]
    >>> places({"a": 3.0, "b": 2.0, "c": 1.0}, apart, higher_is_better=True)
    {'a': Place(rank=1, groups='a'), 'b': Place(rank=2, groups='ab'), 'c': Place(rank=3, groups='b')}
    """
    order = sorted(means, key=lambda name: -means[name] if higher_is_better else means[name])
    apart = [(pair.method, pair.other) for pair in pairs if pair.holm < SIGNIFICANT]
    groups = _groups(order, apart)
    return {
        name: Place(
            1 + sum(means[other] > means[name] if higher_is_better else means[other] < means[name] for other in order),
            "".join(_letter(number) for number, group in enumerate(groups) if name in group),
        )
        for name in order
    }


def _groups(order: Sequence[str], apart: Iterable[tuple[str, str]]) -> list[set[str]]:
    """The largest sets of methods of which no two are `apart`, that of the best method first.

    H.-P. Piepho. An algorithm for a letter-based representation of all-pairwise comparisons. JCGS 13, 2004.
    """
    groups = [set(order)]
    for first, second in apart:
        split: list[set[str]] = []
        for group in groups:
            both = first in group and second in group
            split += [group - {first}, group - {second}] if both else [group]
        groups = [
            group
            for number, group in enumerate(split)
            if not any(group < other or (group == other and number > n) for n, other in enumerate(split))
        ]
    return sorted(groups, key=lambda group: sorted(order.index(name) for name in group))


def _letter(number: int) -> str:
    """a to z, then a2 to z2."""
    again, place = divmod(number, 26)
    return chr(ord("a") + place) + (str(again + 1) if again else "")
