"""The tables of a benchmark: a board for each generator and metric, costs, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any, NamedTuple

from tagxai.benchmark.plan import Part
from tagxai.benchmark.statistics import Difference, compare, interval, per_prompt
from tagxai.benchmark.store import Row
from tagxai.metrics.bootstrap import Interval

BEST, BETWEEN, CHANCE = "oracle", "degraded oracle", "random"
"""Controls in the order that a metric must put them in; that of the first and the last must be strict."""

ASKED_AGAIN = ("robustness", "randomisation")
"""Families that ask a method again: controls ask the model nothing, and cannot tell whether such a metric is right."""

FEWEST = 2
"""Prompts that the order of two controls needs: over one, an interval has no width, and a tie says nothing."""

TIE = 1e-9
"""Means as near as this are equal: sums differ in rounding."""


@dataclass(frozen=True)
class Entry:
    """A method on a board."""

    method: str
    is_control: bool
    interval: Interval
    prompts: int
    difference: Difference | None


@dataclass(frozen=True)
class Board:
    """A metric on a generator. `failed` says why its figures mean nothing; then there are none.

    `unjudged` says why the controls cannot tell.
    """

    generator: str
    metric: str
    family: str
    higher_is_better: bool
    reference: str
    entries: Sequence[Entry]
    failed: str | None = None
    unjudged: str | None = None

    @property
    def title(self) -> str:
        return f"{self.metric} {'↑' if self.higher_is_better else '↓'}"

    def entry(self, method: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.method == method), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"entries": [_entry_json(entry) for entry in self.entries]}


class Cost(NamedTuple):
    """What a method took: medians over clips; the ratio is to generating the same clip."""

    generator: str
    method: str
    seconds: float
    ratio: float | None
    passes: str


def boards(rows: Sequence[Row], methods: Sequence[Part], metrics: Sequence[Part], reference: str) -> list[Board]:
    """In the order of generators, metrics and methods; methods and metrics without a value are left out."""
    made = []
    for generator in dict.fromkeys(row.generator for row in rows):
        for metric in metrics:
            mine = [row for row in rows if row.generator == generator and row.metric == metric.label]
            values = {
                method.label: per_prompt(
                    (r.prompt, r.value) for r in mine if r.method == method.label and r.value is not None
                )
                for method in methods
            }
            values = {method: found for method, found in values.items() if found}
            if not values:
                continue
            unjudged = _unjudged(values, metric.family)
            failed = None if unjudged else out_of_order(values, metric.higher_is_better)
            differences = {} if failed else compare(values, reference)
            controls = {method.label for method in methods if method.is_control}
            entries = [
                Entry(name, name in controls, interval(found), len(found), differences.get(name))
                for name, found in values.items()
            ]
            made.append(
                Board(
                    *(generator, metric.label, metric.family, metric.higher_is_better, reference),
                    entries=[] if failed else entries,
                    failed=failed,
                    unjudged=unjudged,
                )
            )
    return made


def _unjudged(values: dict[str, dict[str, float]], family: str) -> str | None:
    """Why controls cannot tell whether a metric is right."""
    if family in ASKED_AGAIN:
        return "a control that is asked again gives the same answer"
    if BEST not in values:
        return "there is no oracle to check them with"
    shared = len(values[BEST].keys() & values.get(CHANCE, {}).keys())
    return None if shared >= FEWEST else f"an order beyond doubt needs {FEWEST} prompts, not {shared}"


def out_of_order(values: dict[str, dict[str, float]], higher_is_better: bool) -> str | None:
    """Why a metric's figures mean nothing: over the prompts of both, a control is not better than one that should be.

    The oracle has to be better than random scores. That the degraded oracle is better than the oracle, or worse than
    random scores, counts where the 95 % bootstrap interval of the paired difference leaves no doubt.

    >>> out_of_order({"oracle": {"a": 0.2, "b": 0.2}, "random": {"a": 0.5, "b": 0.7}}, higher_is_better=True)
    'the oracle (0.2) is no better than random scores (0.6) over 2 prompts'
    """
    for better, worse, strict in ((BEST, CHANCE, True), (BEST, BETWEEN, False), (BETWEEN, CHANCE, False)):
        high, low = (values.get(name, {}) for name in (better, worse))
        shared = [prompt for prompt in high if prompt in low]
        if len(shared) < FEWEST:
            continue
        above, below = (fmean(found[prompt] for prompt in shared) for found in (high, low))
        sign = 1 if higher_is_better else -1
        gain = interval({prompt: sign * (high[prompt] - low[prompt]) for prompt in shared})
        if gain.mean <= TIE if strict else gain.high < -TIE:
            named = f"{worse} scores" if worse == CHANCE else f"the {worse}"
            than = "no better" if strict else "worse"
            return f"the {better} ({above:.3g}) is {than} than {named} ({below:.3g}) over {len(shared)} prompts"
    return None


def costs(rows: Iterable[Row]) -> list[Cost]:
    """Of every method but the controls, which cost nothing; each explanation counts once."""
    clips: dict[tuple[str, str], dict[tuple[str, int], Row]] = {}
    for row in rows:
        if row.seconds is not None:
            clips.setdefault((row.generator, row.method), {})[row.prompt, row.seed] = row
    return [
        Cost(
            generator,
            method,
            median(row.seconds or 0.0 for row in found.values()),
            median(ratios)
            if (ratios := [r.seconds / r.generate_seconds for r in found.values() if r.seconds and r.generate_seconds])
            else None,
            next(iter(found.values())).passes,
        )
        for (generator, method), found in clips.items()
    ]


def failures(rows: Iterable[Row]) -> list[tuple[str, str, int]]:
    """(method, error, cells): the same sentence once."""
    count = Counter((row.method, row.error) for row in rows if row.error is not None)
    return [(method, error or "", number) for (method, error), number in count.items()]


def missing(rows: Iterable[Row]) -> int:
    """Cells that are yet to be computed."""
    return sum(row.value is None and row.error is None for row in rows)


def _entry_json(entry: Entry) -> dict[str, Any]:
    content: dict[str, Any] = {
        "method": entry.method,
        "is_control": entry.is_control,
        "prompts": entry.prompts,
        **entry.interval._asdict(),
    }
    if entry.difference is not None:
        content["difference"] = entry.difference._asdict() | {"interval": entry.difference.interval._asdict()}
    return content
