"""A leaderboard for each generator and metric: means of methods with intervals, and controls that check the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tagxai.benchmark.control_order import not_judged, out_of_order
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.statistics import Difference, compare, interval, per_prompt
from tagxai.errors import TagxaiError
from tagxai.metrics.intervals import Interval


@dataclass(frozen=True)
class BoardEntry:
    """A method on a board."""

    method: str
    is_control: bool
    interval: Interval
    prompts: int
    difference: Difference | None


@dataclass(frozen=True)
class Board:
    """A metric on a generator. `failed` says why its figures mean nothing, and then no entries are kept.

    `unjudged` says why the controls cannot check the metric.
    """

    generator: str
    metric: str
    family: str
    higher_is_better: bool
    reference: str
    entries: Sequence[BoardEntry]
    failed: str | None = None
    unjudged: str | None = None

    @property
    def title(self) -> str:
        return f"{self.metric} {'↑' if self.higher_is_better else '↓'}"

    def entry(self, method: str) -> BoardEntry | None:
        return next((entry for entry in self.entries if entry.method == method), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"entries": [_entry_json(entry) for entry in self.entries]}


def boards(
    cells: Sequence[Measurement], methods: Sequence[PlanEntry], metrics: Sequence[PlanEntry], reference: str
) -> list[Board]:
    """In the order of generators, metrics and methods; methods and metrics without a value are left out."""
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
    entries = [
        BoardEntry(name, name in controls, interval(of_prompts, bounds), len(of_prompts), differences.get(name))
        for name, of_prompts in values.items()
    ]
    return Board(
        *(cells[0].generator, metric.label, metric.family, metric.higher_is_better, reference),
        entries=[] if failed else entries,
        failed=failed,
        unjudged=unjudged,
    )


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
        **entry.interval._asdict(),
    }
    if entry.difference is not None:
        content["difference"] = entry.difference._asdict() | {"interval": entry.difference.interval._asdict()}
    return content
