"""Merge the folders of several runs: what one machine computed and what another did."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tagxai import storage
from tagxai.benchmark.planned_run import PlannedRun
from tagxai.benchmark.results import planned_cells
from tagxai.benchmark.store import RUN, SCHEMA, SCHEMA_OF_RESULTS, Store
from tagxai.errors import DamagedFileError, TagxaiError

KINDS = ("clips", "explanations", "cells")


def merge(folders: Sequence[str | Path], out: str | Path, *, force: bool = False) -> list[PlannedRun]:
    """Copy the files of `folders` to `out`, beside existing ones, with every run once.

    A cell's value replaces its error. Raises TagxaiError where the folders do not fit together, or where `out` holds
    anything but a benchmark, unless `force` is given.
    """
    runs: list[PlannedRun] = []
    storage.check_claim(out, SCHEMA, SCHEMA_OF_RESULTS, force=force)
    if (Path(out) / RUN).exists():
        folders = [out, *folders]
    for folder in folders:
        runs += [run for run in Store(folder).runs() if run not in runs]
    _check(runs)
    for folder in folders:  # a damaged cell is reported before anything is copied
        planned_cells(Store(folder), Store(folder).runs())
    with storage.claimed(out, SCHEMA, SCHEMA_OF_RESULTS, force=force) as target, storage.alone(target):
        for folder in map(Path, folders):
            if folder.resolve() != target.resolve():
                _copy(folder, target)
        Store(target).write_runs(runs)
    return runs


def _copy(folder: Path, target: Path) -> None:
    for kind in KINDS:
        for file in sorted((folder / kind).glob("*/[0-9a-f]*")):
            copy = target / kind / file.parent.name / file.name
            better = kind == "cells" and _has_value(folder, file.stem) and not _has_value(target, file.stem)
            if better or not copy.exists():  # files of one name have one content
                copy.parent.mkdir(parents=True, exist_ok=True)
                with storage.whole_file(copy) as temporary:
                    shutil.copyfile(file, temporary)


def _has_value(folder: Path, key: str) -> bool:
    try:
        cell = Store(folder).read_cell(key)
    except DamagedFileError:
        return False
    return cell is not None and cell.error is None


def _check(runs: Sequence[PlannedRun]) -> None:
    """One label must mean one thing."""
    meanings: dict[tuple[str, str], object] = {}
    for run in runs:
        for kind, label, meaning in run.named():
            if meanings.setdefault((kind, label), meaning) != meaning:
                raise TagxaiError(
                    f"the {kind} {label!r} is not the same in all folders (other weights, settings or versions); "
                    "merge runs of one setup"
                )
