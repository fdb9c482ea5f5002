"""How much of a metric's spread comes from the prompt, and how much from the seed of the clip.

One value is a prompt's effect plus the seed's: a random-effects model of one way, whose variance components follow from
the mean squares between and within prompts (Searle, Casella, McCulloch. *Variance Components*, 1992, section 3.6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from statistics import fmean
from typing import NamedTuple

from tagxai.benchmark.measurement import Measurement


class Components(NamedTuple):
    """Standard deviations: of the prompts' own means, and of the seeds of one prompt."""

    prompt: float
    seed: float
    prompts: int
    clips: int

    @property
    def share(self) -> float | None:
        """The share of the variance that prompts make (the intraclass correlation); None where nothing varies."""
        total = self.prompt**2 + self.seed**2
        return self.prompt**2 / total if total else None


class Spread(NamedTuple):
    """The components of one method by one metric."""

    generator: str
    metric: str
    method: str
    components: Components


def components(values: Mapping[str, Sequence[float]]) -> Components | None:
    """From the values of each prompt's seeds; None where no prompt has two, or there is one prompt.

    A negative estimate of the prompts' variance is 0.

    >>> components({"a": [1.0, 3.0], "b": [5.0, 7.0]})
    Components(prompt=2.6457513110645907, seed=1.4142135623730951, prompts=2, clips=4)
    """
    groups, clips = list(values.values()), sum(map(len, values.values()))
    if len(groups) < 2 or clips == len(groups):
        return None
    means, overall = [fmean(group) for group in groups], fmean(value for group in groups for value in group)
    within = sum((value - mean) ** 2 for group, mean in zip(groups, means, strict=True) for value in group)
    between = sum(len(group) * (mean - overall) ** 2 for group, mean in zip(groups, means, strict=True))
    seed = within / (clips - len(groups))
    size = (clips - sum(len(group) ** 2 for group in groups) / clips) / (len(groups) - 1)
    prompt = max(0.0, (between / (len(groups) - 1) - seed) / size)
    return Components(sqrt(prompt), sqrt(seed), len(groups), clips)


def spreads(cells: Iterable[Measurement]) -> list[Spread]:
    """The components of every generator, metric and method that has several seeds."""
    groups: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for cell in cells:
        if cell.value is not None:
            of_prompts = groups.setdefault((cell.generator, cell.metric, cell.method), {})
            of_prompts.setdefault(cell.prompt, []).append(cell.value)
    found = ((key, components(of_prompts)) for key, of_prompts in groups.items())
    return [Spread(*key, each) for key, each in found if each is not None]
