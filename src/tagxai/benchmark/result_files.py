"""The files of results: results.csv, costs.csv, results.json, and Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path

from tagxai import storage
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.results import Results

RESULT_COLUMNS = ("generator", "prompt", "seed", "method", "metric", "value", "status", "why")
COST_COLUMNS = ("generator", "prompt", "seed", "method", "generate_seconds", "seconds", "passes")


def write(results: Results, folder: Path) -> list[Path]:
    """`results.csv` depends on no clock: the same plan gives the same bytes, however often it was interrupted."""
    columns = _own_columns(results)
    explained = [cell for cell in results.cells if cell.seconds is not None]
    explanations = {(cell.generator, cell.prompt, cell.seed, cell.method): cell for cell in explained}
    files = [folder / "results.csv", folder / "costs.csv", folder / "results.json"]
    _write_csv(files[0], RESULT_COLUMNS, results.cells, columns)
    _write_csv(files[1], COST_COLUMNS, explanations.values(), columns)
    storage.write_json(files[2], results.to_json())
    if find_spec("pyarrow") is not None:
        files.append(folder / "results.parquet")
        _write_parquet(files[-1], results.cells, columns)
    return files


OwnColumns = Mapping[str, Mapping[str, str]]
"""The columns of the file of prompts, by the names that they have in files of results."""


def _own_columns(results: Results) -> OwnColumns:
    """Under their own names; a name that the files have already gets "prompt_" before it."""
    taken = {*RESULT_COLUMNS, *COST_COLUMNS, *(each.name for each in fields(Measurement))}
    return {f"prompt_{name}" if name in taken else name: values for name, values in results.columns.items()}


def _write_csv(path: Path, names: Sequence[str], cells: Iterable[Measurement], own: OwnColumns) -> None:
    with storage.whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, *own])
        for cell in cells:
            values = [getattr(cell, name) for name in names]
            values += [of_prompts.get(cell.prompt, "") for of_prompts in own.values()]
            writer.writerow([f"{value:.9g}" if isinstance(value, float) else value for value in values])


def _write_parquet(path: Path, cells: Sequence[Measurement], own: OwnColumns) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [
        {**asdict(cell), "status": cell.status, **{name: of.get(cell.prompt, "") for name, of in own.items()}}
        for cell in cells
    ]
    with storage.whole_file(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist(rows), temporary)
