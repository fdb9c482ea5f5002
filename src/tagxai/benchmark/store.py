"""A benchmark's folder: its plans, cells, clips and explanations, each in a file named by the key of what made it.

Every file is whole: it is written under another name and renamed. Since the key of a result is the hash of what made
it, a run finds what an earlier run left, writers never collide, and a changed model or setting finds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from tagxai import storage
from tagxai.benchmark.artefacts import ArtefactKind
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.planned_run import PlannedRun
from tagxai.benchmark.sealed_file import read_sealed, write_sealed
from tagxai.contract.seeding import seeded
from tagxai.errors import DamagedFileError

T = TypeVar("T")

SCHEMA, SCHEMA_VERSION = "tagxai.benchmark", 1
SCHEMA_OF_RESULTS = "tagxai.benchmark.results"
RUN = "run.json"


class Store:
    """Reads and writes one folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    # -- what was planned ----------------------------------------------------------------------------------------

    def write_runs(self, runs: list[PlannedRun]) -> None:
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "runs": [run.to_json() for run in runs],
        }
        storage.output_folder(self.folder)
        storage.write_json(self.folder / RUN, content | {"sha256": storage.json_sha256(_as_read(content))})

    def runs(self) -> list[PlannedRun]:
        """Raises DamagedFileError where the folder is not a benchmark's, is of another version, or was changed."""
        content = storage.read_json(self.folder / RUN)
        if content.get("schema") != SCHEMA:
            raise DamagedFileError(f"{self.folder / RUN} is not a tagxai benchmark")
        if content.get("schema_version") != SCHEMA_VERSION:
            raise DamagedFileError(
                f"{self.folder} has schema version {content.get('schema_version')}; this tagxai reads {SCHEMA_VERSION}"
            )
        if content.pop("sha256", None) != storage.json_sha256(content):
            raise DamagedFileError(f"{self.folder / RUN} is damaged: it was changed after it was written")
        try:
            return [PlannedRun.from_json(run) for run in content["runs"]]
        except (KeyError, TypeError):
            raise DamagedFileError(f"{self.folder / RUN} is from another version of tagxai") from None

    def check_free(self) -> None:
        """Raises DamagedFileError where a run would overwrite the benchmark of another version of tagxai."""
        try:
            content = storage.read_json(self.folder / RUN)
        except DamagedFileError:  # missing or damaged: the run writes it
            return
        if content.get("schema") == SCHEMA and content.get("schema_version") != SCHEMA_VERSION:
            raise DamagedFileError(
                f"{self.folder / RUN} has schema version {content.get('schema_version')}, and this tagxai writes "
                f"version {SCHEMA_VERSION}: give another folder"
            )

    # -- clips and explanations ----------------------------------------------------------------------------------

    def remembered(self, kind: ArtefactKind[T], key: str, make: Callable[[], tuple[T, float]]) -> tuple[T, float]:
        """The artefact under `key` and the seconds that it took; where it is missing or damaged, `make` makes both.

        A new artefact is read back from its file, so that a resumed run continues from the very same numbers. All
        global random numbers that `make` draws come from the key.
        """
        found = self.find(kind, key)
        if found is not None:
            return found
        with seeded(seed_of(key)):
            artefact, seconds = make()
        return self.keep(kind, key, artefact, seconds)

    def find(self, kind: ArtefactKind[T], key: str) -> tuple[T, float] | None:
        """The artefact under `key` and the seconds that it took; None where it is missing or damaged."""
        found = read_sealed(self._artefact_path(kind, key), key)
        if found is None:
            return None
        content, tensors = found
        seconds = content.pop("seconds")
        return kind.from_file(content, tensors), seconds

    def keep(self, kind: ArtefactKind[T], key: str, artefact: T, seconds: float) -> tuple[T, float]:
        """Write an artefact; what `find` then reads."""
        content, tensors = kind.to_file(artefact)
        write_sealed(self._artefact_path(kind, key), key, content | {"seconds": seconds}, tensors)
        return self.find(kind, key) or (artefact, seconds)

    def _artefact_path(self, kind: ArtefactKind[Any], key: str) -> Path:
        return self.folder / kind.folder / key[:2] / f"{key}.safetensors"

    # -- cells ---------------------------------------------------------------------------------------------------

    def write_cell(self, key: str, measurement: Measurement) -> None:
        content = asdict(measurement) | {"name": key}
        path = self._cell_path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        storage.write_json(path, content | {"sha256": storage.json_sha256(content)})

    def read_cell(self, key: str) -> Measurement | None:
        """The cell, or None where it is missing. Raises DamagedFileError where it is not what was written."""
        path = self._cell_path(key)
        if not path.is_file():
            return None
        content = storage.read_json(path)
        if content.pop("sha256", None) != storage.json_sha256(content):
            raise DamagedFileError(f"{path} is damaged: it was changed after it was written")
        if content.pop("name", key) != key:
            raise DamagedFileError(f"{path} is damaged: it is another cell, under this one's name")
        try:
            return Measurement(**content)
        except TypeError:
            raise DamagedFileError(f"{path} is a cell of another version of tagxai") from None

    def is_done(self, key: str) -> bool:
        """Whether a cell has its value or its error."""
        try:
            return self.read_cell(key) is not None
        except DamagedFileError:
            return False

    def forget_failure(self, key: str) -> None:
        """Delete a cell that holds an error, so that it is computed again."""
        try:
            cell = self.read_cell(key)
        except DamagedFileError:
            return
        if cell is not None and cell.error is not None:
            self._cell_path(key).unlink()

    def _cell_path(self, key: str) -> Path:
        return self.folder / "cells" / key[:2] / f"{key}.json"


def seed_of(key: str) -> int:
    """A seed that belongs to a key, for what draws from the global random numbers."""
    return int(key[:8], 16)


def _as_read(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON content as it is when read back: lists for tuples."""
    return json.loads(json.dumps(content))
