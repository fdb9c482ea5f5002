"""The files of results: tables as CSV and, where pyarrow is installed, as Parquet; JSON, LaTeX, BibTeX and the plan."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.paper import latex
from tagxai.benchmark.paper.bibliography import bibliography
from tagxai.benchmark.paper.rows import board_rows, pair_rows
from tagxai.benchmark.plan_file import to_toml
from tagxai.benchmark.results import Results

RESULT_COLUMNS = ("generator", "prompt", "seed", "method", "metric", "value", "status", "why")
COST_COLUMNS = ("generator", "prompt", "seed", "method", "generate_seconds", "seconds", "passes")


def write(results: Results, folder: Path) -> list[Path]:
    """`results.csv` depends on no clock: the same plan gives the same bytes, however often it was interrupted."""
    own = _own_columns(results)
    explained = [cell for cell in results.cells if cell.seconds is not None]
    explanations = {(cell.generator, cell.prompt, cell.seed, cell.method): cell for cell in explained}
    tables = {
        "results": [_row(cell, RESULT_COLUMNS, own) for cell in results.cells],
        "costs": [_row(cell, COST_COLUMNS, own) for cell in explanations.values()],
        "leaderboard": list(board_rows(results)),
        "pairs": list(pair_rows(results)),
    }
    texts = {"results.json": None, "leaderboard.tex": latex.document(results), "references.bib": bibliography(results)}
    texts |= {
        f"plan{'' if number == 1 else f'-{number}'}.toml": to_toml(run.plan, "tagxai bench THIS_FILE --yes --out NEW")
        for number, run in enumerate(results.runs, 1)
    }
    files = []
    for name, rows in tables.items():
        files.append(folder / f"{name}.csv")
        storage.write_text(files[-1], csv_text(rows))
    for name, text in texts.items():
        files.append(folder / name)
        if text is None:
            storage.write_json(files[-1], results.to_json())
        else:
            storage.write_text(files[-1], text)
    if find_spec("pyarrow") is not None:
        cells = [{**asdict(cell), "status": cell.status, **_own(cell, own)} for cell in results.cells]
        for name, rows in {"results": cells, "leaderboard": tables["leaderboard"], "pairs": tables["pairs"]}.items():
            files += _write_parquet(folder / f"{name}.parquet", rows)
    return files


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as CSV with a header; numbers with nine digits.

    >>> csv_text([{"method": "a", "mean": 1 / 3, "rank": None}])
    'method,mean,rank\\na,0.333333333,\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0] if rows else ())
    for row in rows:
        writer.writerow([f"{value:.9g}" if isinstance(value, float) else value for value in row.values()])
    return text.getvalue()


OwnColumns = Mapping[str, Mapping[str, str]]
"""The columns of the file of prompts, by the names that they have in files of results."""


def _own_columns(results: Results) -> OwnColumns:
    """Under their own names; a name that the files have already gets "prompt_" before it."""
    taken = {*RESULT_COLUMNS, *COST_COLUMNS, *(each.name for each in fields(Measurement))}
    return {f"prompt_{name}" if name in taken else name: values for name, values in results.columns.items()}


def _row(cell: Measurement, names: Sequence[str], own: OwnColumns) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in names} | _own(cell, own)


def _own(cell: Measurement, own: OwnColumns) -> dict[str, str]:
    return {name: of_prompts.get(cell.prompt, "") for name, of_prompts in own.items()}


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> list[Path]:
    """The file, or none where there is no row: its columns would have no types."""
    import pyarrow
    from pyarrow import parquet

    if not rows:
        return []
    with storage.whole_file(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist(rows), temporary)
    return [path]
