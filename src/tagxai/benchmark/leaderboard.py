"""A leaderboard for each generator and metric: means of methods with intervals, and controls that check the metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from tagxai.benchmark.control_order import not_judged, out_of_order
from tagxai.benchmark.measurement import Measurement, Status
from tagxai.benchmark.pairs import Pair, Place, every_pair, places
from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.statistics import Difference, compare, interval, per_prompt
from tagxai.errors import TagxaiError
from tagxai.metrics.intervals import Interval

WORST: tuple[Status, ...] = ("failed", "missing", "not applicable", "value")


@dataclass(frozen=True)
class BoardEntry:
    """A method on a board: its mean over `prompts`. `absent` counts the prompts without a value, by what became of
    them. Controls have no place."""

    method: str
    is_control: bool
    interval: Interval
    prompts: int
    difference: Difference | None
    absent: Mapping[Status, int] = field(default_factory=dict)
    place: Place | None = None

    @property
    def count(self) -> str:
        """The number of prompts, and how many more were asked for."""
        return ", ".join([f"n={self.prompts}", *(f"{number} {status}" for status, number in self.absent.items())])


@dataclass(frozen=True)
class Board:
    """A metric on a generator. `failed` says why its figures mean nothing, and then no entries are kept.

    `unjudged` says why the controls cannot check the metric. `absent` are the methods without any value, and why.
    `pairs` are those of the methods, without controls.
    """

    generator: str
    metric: str
    family: str
    higher_is_better: bool
    reference: str
    entries: Sequence[BoardEntry]
    failed: str | None = None
    unjudged: str | None = None
    absent: Mapping[str, Status] = field(default_factory=dict)
    pairs: Sequence[Pair] = ()

    @property
    def title(self) -> str:
        return f"{self.metric} {'↑' if self.higher_is_better else '↓'}"

    def entry(self, method: str) -> BoardEntry | None:
        return next((entry for entry in self.entries if entry.method == method), None)

    def to_json(self) -> dict[str, Any]:
        pairs = [pair._asdict() | {"interval": pair.interval._asdict()} for pair in self.pairs]
        return asdict(self) | {"entries": [_entry_json(entry) for entry in self.entries], "pairs": pairs}


def boards(
    cells: Sequence[Measurement], methods: Sequence[PlanEntry], metrics: Sequence[PlanEntry], reference: str
) -> list[Board]:
    """In the order of generators, metrics and methods; metrics without a value are left out."""
    generators = dict.fromkeys(cell.generator for cell in cells)
    found = [
        _board([c for c in cells if (c.generator, c.metric) == (generator, metric.label)], methods, metric, reference)
        for generator in generators
        for metric in metrics
    ]
    return [board for board in found if board is not None]


def _board(
    cells: Sequence[Measurement], methods: Sequence[PlanEntry], metric: PlanEntry, reference: str
) -> Board | None:
    """The board of one generator and metric; None without a value."""
    absent = absent_prompts(cells)
    values: dict[str, dict[str, float]] = {}
    for method in methods:
        mine = [(cell.prompt, cell.value) for cell in cells if cell.method == method.label and cell.value is not None]
        if mine:
            values[method.label] = per_prompt(mine)
    if not values:
        return None
    unjudged = not_judged(values, metric.family)
    failed = None if unjudged else out_of_order(values, metric.higher_is_better)
    bounds = _bounds(metric)
    differences = {} if failed else compare(values, reference, bounds)
    controls = {method.label for method in methods if method.is_control}
    own = {} if failed else {name: found for name, found in values.items() if name not in controls}
    pairs = every_pair(own, bounds)
    means = {name: fmean(of_prompts.values()) for name, of_prompts in own.items()}
    place = places(means, pairs, higher_is_better=metric.higher_is_better)
    entries = [
        BoardEntry(
            *(name, name in controls, interval(of_prompts, bounds), len(of_prompts), differences.get(name)),
            absent=absent[name],
            place=place.get(name),
        )
        for name, of_prompts in values.items()
    ]
    return Board(
        *(cells[0].generator, metric.label, metric.family, metric.higher_is_better, reference),
        entries=[] if failed else entries,
        failed=failed,
        unjudged=unjudged,
        pairs=pairs,
        absent={name: next(iter(found)) for name, found in absent.items() if name not in values},
    )


def absent_prompts(cells: Sequence[Measurement]) -> dict[str, dict[Status, int]]:
    """For each method, the number of prompts without a value, by the worst that became of their clips."""
    worst: dict[str, dict[str, int]] = {}
    for cell in cells:
        of_prompts = worst.setdefault(cell.method, {})
        rank = WORST.index(cell.status)
        if cell.status == "value":
            of_prompts[cell.prompt] = rank
        elif of_prompts.get(cell.prompt) != WORST.index("value"):
            of_prompts[cell.prompt] = min(rank, of_prompts.get(cell.prompt, rank))
    found: dict[str, dict[Status, int]] = {}
    for method, of_prompts in worst.items():
        count = Counter(of_prompts.values())
        found[method] = {status: count[n] for n, status in enumerate(WORST) if count[n] and status != "value"}
    return found


def _bounds(metric: PlanEntry) -> tuple[float, float] | None:
    """The metric's bounds; None where its plugin is not installed here."""
    try:
        return metric.metric().bounds
    except TagxaiError:
        return None


def _entry_json(entry: BoardEntry) -> dict[str, Any]:
    content: dict[str, Any] = {
        "method": entry.method,
        "is_control": entry.is_control,
        "prompts": entry.prompts,
        "absent": dict(entry.absent),
        **entry.interval._asdict(),
    }
    if entry.place is not None:
        content |= entry.place._asdict()
    if entry.difference is not None:
        content["difference"] = entry.difference._asdict() | {"interval": entry.difference.interval._asdict()}
    return content
