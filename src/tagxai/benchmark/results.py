"""What a folder's cells come to, and the files that say it: results.csv, costs.csv, results.json, perhaps Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.benchmark import leaderboard
from tagxai.benchmark.plan import Part
from tagxai.benchmark.store import Row, Run, Store, key
from tagxai.errors import UnknownNameError

RESULT_COLUMNS = ("generator", "prompt", "seed", "method", "metric", "value", "error")
COST_COLUMNS = ("generator", "prompt", "seed", "method", "generate_seconds", "seconds", "passes")


@dataclass(frozen=True)
class Results:
    """All cells, and the parts of the runs that they are of."""

    rows: Sequence[Row]
    methods: Sequence[Part]
    metrics: Sequence[Part]
    reference: str
    runs: Sequence[Run] = ()

    @cached_property
    def boards(self) -> list[leaderboard.Board]:
        return leaderboard.boards(self.rows, self.methods, self.metrics, self.reference)

    @property
    def costs(self) -> list[leaderboard.Cost]:
        controls = {method.label for method in self.methods if method.is_control}
        return [cost for cost in leaderboard.costs(self.rows) if cost.method not in controls]

    @property
    def failures(self) -> list[tuple[str, str, int]]:
        return leaderboard.failures(self.rows)

    @property
    def missing(self) -> int:
        return leaderboard.missing(self.rows)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "tagxai.benchmark.results",
            "schema_version": 1,
            "runs": [run.to_json() for run in self.runs],
            "boards": [board.to_json() for board in self.boards],
            "costs": [cost._asdict() for cost in self.costs],
            "failures": [{"method": m, "error": e, "cells": n} for m, e, n in self.failures],
            "missing": self.missing,
            "cells": [asdict(row) for row in self.rows],
        }


def load(folder: str | Path, *, reference: str | None = None) -> Results:
    """The results of a benchmark's folder, finished or not. Raises DamagedFileError, UnknownNameError."""
    store = Store(folder)
    runs = store.runs()
    methods = _unique(part for run in runs for part in run.plan.methods)
    labels = [part.label for part in methods]
    if reference is not None and reference not in labels:
        raise UnknownNameError("method of this benchmark, for reference,", reference, labels)
    return Results(
        store.rows(runs),
        methods,
        _unique(part for run in runs for part in run.plan.metrics),
        reference or runs[0].plan.reference,
        runs,
    )


def write(results: Results, folder: Path) -> list[Path]:
    """`results.csv` depends on no clock: the same plan gives the same bytes, however often it was interrupted."""
    kept = [row for row in results.rows if row.value is not None or row.error is not None]
    once = {(r.generator, r.prompt, r.seed, r.method): r for r in kept if r.seconds is not None}
    files = [folder / "results.csv", folder / "costs.csv", folder / "results.json"]
    _write_csv(files[0], RESULT_COLUMNS, kept)
    _write_csv(files[1], COST_COLUMNS, once.values())
    storage.write_json(files[2], results.to_json())
    if find_spec("pyarrow") is not None:
        files.append(folder / "results.parquet")
        _write_parquet(files[-1], kept)
    return files


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with storage.whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            values = (getattr(row, column) for column in columns)
            writer.writerow([f"{value:.9g}" if isinstance(value, float) else value for value in values])


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow
    from pyarrow import parquet

    with storage.whole_file(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist([asdict(row) for row in rows]), temporary)


def _unique(parts: Iterable[Part]) -> list[Part]:
    """The first of each that are the same but for their labels."""
    found: dict[str, Part] = {}
    for part in parts:
        found.setdefault(key(part.identity), part)
    return list(found.values())
