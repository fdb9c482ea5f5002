"""The results of a benchmark: its cells in the order of its plans, and the tables made from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tagxai.benchmark import leaderboard, summaries, variance
from tagxai.benchmark.clip_spec import content_key
from tagxai.benchmark.measurement import Measurement, Status
from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.planned_run import PlannedRun
from tagxai.benchmark.store import Store
from tagxai.errors import UnknownNameError


@dataclass(frozen=True)
class Results:
    """All cells, and the methods and metrics that they are of."""

    cells: Sequence[Measurement]
    methods: Sequence[PlanEntry]
    metrics: Sequence[PlanEntry]
    reference: str
    runs: Sequence[PlannedRun] = ()

    @cached_property
    def boards(self) -> list[leaderboard.Board]:
        return leaderboard.boards(self.cells, self.methods, self.metrics, self.reference)

    @property
    def controls(self) -> set[str]:
        """The labels of the control rows."""
        return {method.label for method in self.methods if method.is_control}

    @property
    def costs(self) -> list[summaries.MethodCost]:
        """Costs of all methods but the controls, which cost nothing."""
        return [cost for cost in summaries.costs(self.cells) if cost.method not in self.controls]

    @property
    def failures(self) -> list[tuple[str, str, int]]:
        return summaries.failures(self.cells)

    @property
    def spreads(self) -> list[variance.Spread]:
        return variance.spreads(self.cells)

    @property
    def absences(self) -> list[summaries.Absence]:
        return summaries.absences(self.cells)

    @property
    def counts(self) -> dict[Status, int]:
        return summaries.counts(self.cells)

    @property
    def missing(self) -> int:
        return self.counts["missing"]

    def of_metrics(self, labels: Sequence[str]) -> Results:
        """The same results by some of the metrics, in their order. Raises UnknownNameError."""
        known = {metric.label: metric for metric in self.metrics}
        for label in labels:
            if label not in known:
                raise UnknownNameError("metric of this benchmark", label, known)
        cells = [cell for cell in self.cells if cell.metric in labels]
        return replace(self, cells=cells, metrics=[known[label] for label in labels])

    def sorted_by(self, metric: str) -> Results:
        """The same results with the methods in the order of their means by a metric, on the first generator that has
        it; best first, methods without a value last. Raises UnknownNameError."""
        board = next((board for board in self.boards if board.metric == metric), None)
        if board is None:
            raise UnknownNameError("metric with values", metric, {board.metric for board in self.boards})
        sign = -1 if board.higher_is_better else 1
        means = {entry.method: sign * entry.interval.mean for entry in board.entries}
        return replace(self, methods=sorted(self.methods, key=lambda method: means.get(method.label, float("inf"))))

    def of_prompts(self, prompts: Collection[str]) -> Results:
        """The same results over some of the prompts."""
        return replace(self, cells=[cell for cell in self.cells if cell.prompt in prompts])

    @property
    def columns(self) -> dict[str, dict[str, str]]:
        """The columns of the files of prompts, by name: a value for each prompt."""
        found: dict[str, dict[str, str]] = {}
        for run in self.runs:
            for name, values in run.plan.columns.items():
                found.setdefault(name, {}).update(values)
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "tagxai.benchmark.results",
            "schema_version": 1,
            "runs": [run.to_json() for run in self.runs],
            "boards": [board.to_json() for board in self.boards],
            "spreads": [
                {**each._asdict(), "components": {**each.components._asdict(), "share": each.components.share}}
                for each in self.spreads
            ],
            "costs": [cost._asdict() for cost in self.costs],
            "failures": [{"method": m, "error": e, "cells": n} for m, e, n in self.failures],
            "absences": [each._asdict() for each in self.absences],
            "counts": self.counts,
            "columns": self.columns,
            "cells": [asdict(cell) for cell in self.cells],
        }


def load(folder: str | Path, *, reference: str | None = None) -> Results:
    """The results of a benchmark's folder, finished or not. Raises DamagedFileError, UnknownNameError."""
    store = Store(folder)
    runs = store.runs()
    methods = _unique(method for run in runs for method in run.plan.methods)
    labels = [method.label for method in methods]
    if reference is not None and reference not in labels:
        raise UnknownNameError("method of this benchmark, for reference,", reference, labels)
    metrics = _unique(metric for run in runs for metric in run.plan.metrics)
    return Results(planned_cells(store, runs), methods, metrics, reference or runs[0].plan.reference, runs)


def planned_cells(store: Store, runs: Sequence[PlannedRun]) -> list[Measurement]:
    """Every cell of the runs, done or not, applicable or not, in their order; each once. Raises DamagedFileError.

    A generator, method or metric has its first label throughout, even where a later run gave it another.
    """
    found: dict[str, Measurement] = {}
    first: dict[tuple[str, str], str] = {}
    for run in runs:
        labels = {
            (kind, label): first.setdefault((kind, content_key(identity)), label)
            for kind, label, identity in run.named()
        }
        for clip, method, metric, why in run.all_cells():
            key = clip.cell(method, metric)
            if key not in found:
                planned = Measurement(
                    labels["generator", clip.label],
                    clip.prompt,
                    clip.seed,
                    labels["method", method.label],
                    labels["metric", metric.label],
                    not_applicable=why,
                )
                found[key] = planned if why else _labelled(store.read_cell(key) or planned, planned)
    return list(found.values())


def _labelled(cell: Measurement, planned: Measurement) -> Measurement:
    """A cell under the labels of the plan: it may have been written under others."""
    return replace(cell, generator=planned.generator, method=planned.method, metric=planned.metric)


def _unique(entries: Iterable[PlanEntry]) -> list[PlanEntry]:
    """The first of those that differ in nothing but their labels."""
    found: dict[str, PlanEntry] = {}
    for entry in entries:
        found.setdefault(content_key(entry.identity), entry)
    return list(found.values())
