"""The files of results: results.csv, costs.csv, results.json, and Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from tagxai import storage
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.results import Results

RESULT_COLUMNS = ("generator", "prompt", "seed", "method", "metric", "value", "error")
COST_COLUMNS = ("generator", "prompt", "seed", "method", "generate_seconds", "seconds", "passes")


def write(results: Results, folder: Path) -> list[Path]:
    """`results.csv` depends on no clock: the same plan gives the same bytes, however often it was interrupted."""
    finished = [cell for cell in results.cells if cell.value is not None or cell.error is not None]
    explanations = {(c.generator, c.prompt, c.seed, c.method): c for c in finished if c.seconds is not None}
    files = [folder / "results.csv", folder / "costs.csv", folder / "results.json"]
    _write_csv(files[0], RESULT_COLUMNS, finished)
    _write_csv(files[1], COST_COLUMNS, explanations.values())
    storage.write_json(files[2], results.to_json())
    if find_spec("pyarrow") is not None:
        files.append(folder / "results.parquet")
        _write_parquet(files[-1], finished)
    return files


def _write_csv(path: Path, columns: Sequence[str], cells: Iterable[Measurement]) -> None:
    with storage.whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for cell in cells:
            values = (getattr(cell, column) for column in columns)
            writer.writerow([f"{value:.9g}" if isinstance(value, float) else value for value in values])


def _write_parquet(path: Path, cells: Sequence[Measurement]) -> None:
    import pyarrow
    from pyarrow import parquet

    with storage.whole_file(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist([asdict(cell) for cell in cells]), temporary)
