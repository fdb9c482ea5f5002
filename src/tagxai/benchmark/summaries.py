"""What a benchmark cost, what failed, and what is still to be computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from tagxai.benchmark.measurement import STATUSES, Measurement, Status


class MethodCost(NamedTuple):
    """What a method took: medians over clips. `ratio` is to the time that generating the same clip took."""

    generator: str
    method: str
    seconds: float
    ratio: float | None
    passes: str
    clips: int


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
        found.append(
            MethodCost(generator, method, seconds, median(ratios) if ratios else None, last[0].passes, len(last))
        )
    return found


class Absence(NamedTuple):
    """Why some cells of a method or metric on a generator have no value, and how many."""

    generator: str
    method: str
    metric: str
    status: Status
    why: str
    cells: int


def absences(cells: Iterable[Measurement]) -> list[Absence]:
    """What failed, is missing or does not apply: each sentence once for each generator, method and metric. Sentences
    that differ in the prompt that they name are one, with the first prompt and how many others there are."""
    groups: dict[tuple[str, str, str, Status, str], list[Measurement]] = {}
    for cell in cells:
        if cell.status != "value":
            sentence = cell.why.replace(repr(cell.prompt), "")
            groups.setdefault((cell.generator, cell.method, cell.metric, cell.status, sentence), []).append(cell)
    return [Absence(*key[:4], _why(group), len(group)) for key, group in groups.items()]


def _why(group: Sequence[Measurement]) -> str:
    first, prompts = group[0], len({cell.prompt for cell in group})
    if prompts == 1 or repr(first.prompt) not in first.why:
        return first.why
    return f"{first.why} (and so for {prompts - 1} other prompt{'s' if prompts > 2 else ''})"


def failures(cells: Iterable[Measurement]) -> list[tuple[str, str, int]]:
    """(method, error, number of cells), each error once."""
    count = Counter((cell.method, cell.error) for cell in cells if cell.error is not None)
    return [(method, error or "", number) for (method, error), number in count.items()]


def counts(cells: Iterable[Measurement]) -> dict[Status, int]:
    """The number of cells of each status, those without any too."""
    count = Counter(cell.status for cell in cells)
    return {status: count[status] for status in STATUSES}
