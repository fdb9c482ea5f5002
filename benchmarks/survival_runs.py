"""One run of `tagxai bench` in processes of its own, with a journal of the cells that it starts."""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from survival_plugin import JOURNAL, PREFIX

Cell = tuple[str, str, str, str]
"""Prompt, seed, method, metric."""


def install(out: Path) -> str:
    """A PYTHONPATH on which `survival_plugin` is an installed plugin."""
    about = out / "plugin" / "survival-1.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: survival\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[tagxai]\nsurvival = survival_plugin\n")
    return os.pathsep.join(map(str, (about.parent.resolve(), Path(__file__).parent.resolve())))


class Bench:
    """`tagxai bench` of one plan into one folder, with its journal."""

    def __init__(self, given: argparse.Namespace, name: str, *options: str, **changes: str) -> None:
        self.folder, self.journal = given.out / name, given.out / f"{name}.journal"
        if self.folder.exists():
            raise SystemExit(f"{self.folder} is there already: give another --out")
        self.environment = os.environ | {"PYTHONPATH": install(given.out), JOURNAL: str(self.journal.resolve())}
        main = "from tagxai.cli import main; main()"
        plan = {
            "--generators": given.generator,
            "--methods": given.methods,
            "--metrics": ",".join(PREFIX + metric for metric in given.metrics.split(",")),
            "--prompts": given.prompts,
            "--device": given.device,
            "--threads": "1",
        } | changes
        self.show = [sys.executable, "-c", main, "bench", "show", str(self.folder)]
        self.command = [sys.executable, "-c", main, "bench", "run", "--yes", "--out", str(self.folder), *options]
        self.command += [word for pair in plan.items() for word in pair]
        self.finished: list[tuple[int, dict[Path, tuple[Any, Cell]]]] = []

    def start(self) -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": (self.folder.parent / "log").open("ab")}
        return subprocess.Popen(self.command, env=self.environment, **quiet)  # type: ignore[call-overload]

    def run(self) -> float:
        """Run to the end; returns the seconds it took, of which `start_up` passed before the first cell."""
        began = time.time()
        ended(self.start())
        self.start_up = min(written for (_, written), _ in self.cells().values()) / 1e9 - began
        return time.time() - began

    def cells(self) -> dict[Path, tuple[Any, Cell]]:
        """For each finished cell, what identifies its file and its content."""
        found = {}
        for path in self.folder.glob("cells/*/[0-9a-f]*.json"):
            status, row = path.stat(), json.loads(path.read_text())
            cell = (row["prompt"], str(row["seed"]), row["method"], row["metric"])
            found[path] = (status.st_ino, status.st_mtime_ns), cell
        return found

    def count(self) -> int:
        """The number of finished cells."""
        return sum(1 for _ in self.folder.glob("cells/*/[0-9a-f]*.json"))

    def note(self) -> int:
        """Record the cells finished so far; returns their number."""
        cells = self.cells()  # first: whatever is finished has its line by now
        self.finished.append((self.journal.stat().st_size if self.journal.exists() else 0, cells))
        return len(cells)

    def twice(self) -> int:
        """The number of finished cells that were started or written again."""
        last, lines = self.cells(), self.journal.read_bytes()
        again = {path for _, then in self.finished for path, (stamp, _) in then.items() if last[path][0] != stamp}
        for length, then in self.finished:
            begun = {tuple(json.loads(line)) for line in lines[length:].splitlines()}
            again |= {path for path, (_, cell) in then.items() if cell in begun}
        return len(again)

    def begun(self) -> int:
        return len(self.journal.read_bytes().splitlines())

    def tables(self) -> bytes:
        """Everything that does not depend on a clock."""
        shown = (self.folder / "table.md").read_bytes().partition(b"## Cost of")[0]
        return (self.folder / "results.csv").read_bytes() + shown

    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "results.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


ENDED = (0, 1)
"""The exit statuses of a benchmark that went to its end: 1 where a cell failed, as the bad methods' do."""


def ended(process: subprocess.Popen[bytes]) -> None:
    if process.wait() not in ENDED:
        raise SystemExit(f"the command ended with {process.returncode}; see the file log in --out")


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """The descendants of a process, with their command lines (Linux)."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(entry.read_text().rpartition(")")[2].split()[1]), []).append(int(entry.parent.name))
        except OSError:  # it has ended
            continue
    below = list(parents.get(pid, ()))
    while below:
        child = below.pop()
        below += parents.get(child, ())
        try:
            yield child, Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


def tell(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)
