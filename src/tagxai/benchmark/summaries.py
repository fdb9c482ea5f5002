"""What a benchmark cost, what failed, and what is still to be computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from tagxai.benchmark.measurement import Measurement


class MethodCost(NamedTuple):
    """What a method took: medians over clips. `ratio` is to the time that generating the same clip took."""

    generator: str
    method: str
    seconds: float
    ratio: float | None
    passes: str


def costs(cells: Iterable[Measurement]) -> list[MethodCost]:
    """The cost of each method on each generator; each explanation counts once, however many metrics measured it."""
    explanations: dict[tuple[str, str], dict[tuple[str, int], Measurement]] = {}
    for cell in cells:
        if cell.seconds is not None:
            explanations.setdefault((cell.generator, cell.method), {})[cell.prompt, cell.seed] = cell
    found = []
    for (generator, method), of_clips in explanations.items():
        last = list(of_clips.values())
        ratios = [cell.seconds / cell.generate_seconds for cell in last if cell.seconds and cell.generate_seconds]
        seconds = median(cell.seconds or 0.0 for cell in last)
        found.append(MethodCost(generator, method, seconds, median(ratios) if ratios else None, last[0].passes))
    return found


def failures(cells: Iterable[Measurement]) -> list[tuple[str, str, int]]:
    """(method, error, number of cells), each error once."""
    count = Counter((cell.method, cell.error) for cell in cells if cell.error is not None)
    return [(method, error or "", number) for (method, error), number in count.items()]


def missing(cells: Iterable[Measurement]) -> int:
    """The number of cells that are still to be computed."""
    return sum(cell.value is None and cell.error is None for cell in cells)
