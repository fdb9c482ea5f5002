"""Join the folders of several runs: what one machine computed and what another did."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tagxai import storage
from tagxai.benchmark.store import RUN, Run, Store
from tagxai.errors import DamagedFileError, TagxaiError

KINDS = ("clips", "explanations", "cells")


def merge(folders: Sequence[str | Path], out: str | Path) -> list[Run]:
    """All runs of `folders`, each once, and copies of their files, in `out`, beside what is there.

    A cell's value goes before its error. Raises TagxaiError where they do not fit together.
    """
    runs: list[Run] = []
    if (Path(out) / RUN).exists():
        folders = [out, *folders]
    for folder in folders:
        runs += [run for run in Store(folder).runs() if run not in runs]
    _check(runs)
    for folder in folders:
        Store(folder).rows()  # a damaged cell is told before anything is copied
    target = storage.output_folder(out)
    for folder in map(Path, folders):
        if folder.resolve() == target.resolve():
            continue
        for kind in KINDS:
            for file in sorted((folder / kind).glob("*/[0-9a-f]*")):
                copy = target / kind / file.parent.name / file.name
                better = kind == "cells" and _has_value(folder, file.stem) and not _has_value(target, file.stem)
                if better or not copy.exists():  # its name says what it is
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    with storage.whole_file(copy) as temporary:
                        shutil.copyfile(file, temporary)
    Store(target).write_runs(runs)
    return runs


def _has_value(folder: Path, cell: str) -> bool:
    try:
        row = Store(folder).read_cell(cell)
    except DamagedFileError:
        return False
    return row is not None and row.error is None


def _check(runs: Sequence[Run]) -> None:
    """One label must mean one thing."""
    meanings: dict[tuple[str, str], object] = {}
    for run in runs:
        for kind, label, meaning in run.named():
            if meanings.setdefault((kind, label), meaning) != meaning:
                raise TagxaiError(
                    f"the {kind} {label!r} is not the same in all folders (other weights, settings or versions); "
                    "merge runs of one setup"
                )
