"""Runs that survive: `tagxai bench` when it is killed, spread over processes, or given methods that misbehave.

    uv run python benchmarks/survival.py [kill] [workers] [ray] [plugins] [--out FOLDER] [--prompts laboratory:test:6]

Each trial runs the real command in separate processes, and compares the final `results.csv` and the tables (except cost
and provenance) with those of an uninterrupted run, byte for byte:
  kill     the run is killed (SIGKILL) at random moments, at least --kills times, and restarted until it is done
  workers  the same plan with `--executor processes`, some of whose workers are killed
  ray      with Ray: two workers compared with one, each with one thread, and again with a worker killed midway
  plugins  methods that raise, return NaN or a wrong shape, leave a hook, never finish, or crash: only their cells fail
"Computed twice" is counted: metrics write a line to a journal when they start, and after every kill the finished cells
are recorded. A later line about a finished cell is a cell computed twice, and so is a file that was written again.
Prints Markdown and writes it to FOLDER/survival.md; the measurements go to FOLDER/survival.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagxai import Method, hookimpl

JOURNAL = "SURVIVAL_JOURNAL"
TRIALS = ("kill", "workers", "ray", "plugins")
PREFIX = "counted_"
Cell = tuple[str, str, str, str]
"""Prompt, seed, method, metric."""


# -- The plugin: this file is one, too --------------------------------------------------------------------------------


LEFT: list[Any] = []
"""Edits that nobody takes out again."""


@dataclass(frozen=True)
class Bad(Method):
    """A method that does what no method may do."""

    name = "bad"
    how: str = "raises"

    def attribute(self, generator: Any, generation: Any, *, on_progress: Any = None) -> Any:
        from tagxai.methods.cross_attention import CrossAttention

        found = CrossAttention().attribute(generator, generation)
        if self.how == "raises":
            raise RuntimeError("a bug")
        if self.how == "nan":
            found.scores.fill_(float("nan"))
        if self.how == "shape":
            object.__setattr__(found, "scores", found.scores[:, :-1])
        if self.how == "hook":
            for part in vars(generator).values():
                if hasattr(part, "register_forward_hook"):
                    part.register_forward_hook(lambda *_: None)
        if self.how == "edit":
            LEFT.append(generator.attention_sites()[-1].hooked(lambda site, weights: weights * 0))
            LEFT[-1].__enter__()
        while self.how == "endless":
            time.sleep(0.01)
        if self.how == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        return found


BAD = {
    "raises": "RuntimeError: a bug",
    "nan": "NaN",
    "shape": "do not fit a generation",
    "hook": "it left hooks",
    "edit": "it left something behind",
    "endless": "it took longer than the limit",
    "crash": "its process died",
}


@hookimpl
def tagxai_methods() -> list[Any]:
    return [Bad]


@hookimpl
def tagxai_metrics() -> list[Any]:
    from tagxai.registering.registry import builtin

    return [_counted(cls) for cls in builtin.tagxai_metrics()]


def _counted(cls: Any) -> Any:
    """The metric, made to write to the journal when it starts."""
    asked = "score_method" if hasattr(cls, "score_method") else "score"

    def score(self: Any, generator: Any, generation: Any, attribution: Any, *rest: Any) -> float:
        line = json.dumps([generation.prompt, str(generation.seed), attribution.method, self.name])
        journal = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(journal, (line + "\n").encode())  # at once and at the end, whoever else writes
        os.close(journal)
        return getattr(cls, asked)(self, generator, generation, attribution, *rest)

    return type(cls.__name__, (cls,), {"name": PREFIX + cls.name, "__doc__": cls.__doc__, asked: score})


def install(out: Path) -> str:
    """A PYTHONPATH on which this file is an installed plugin."""
    about = out / "plugin" / "survival-1.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: survival\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[tagxai]\nsurvival = survival\n")
    return os.pathsep.join(map(str, (about.parent.resolve(), Path(__file__).parent.resolve())))


# -- Running ----------------------------------------------------------------------------------------------------------


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
        self.command = [sys.executable, "-c", main, "bench", "run", "--out", str(self.folder), *options]
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


def ended(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
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


# -- Trials -----------------------------------------------------------------------------------------------------------


def kill(given: argparse.Namespace, whole: Bench, seconds: float) -> dict[str, Any]:
    """A run killed at random moments: during start-up, or some cells later and a little after."""
    bench, draw = Bench(given, "killed"), random.Random(given.seed)
    cells, kills = len(whole.cells()), 0
    tried = time.perf_counter()
    while True:
        process, left = bench.start(), given.kills - kills
        finished = bench.count()
        more = draw.randint(0, max(0, 2 * (cells - finished) // (left + 1))) if left > 0 else cells
        while more and process.poll() is None and bench.count() < finished + more:
            time.sleep(0.002)
        longest = (seconds - whole.start_up) / cells if more else whole.start_up
        try:
            if process.wait(draw.uniform(0, longest) if left > 0 else None) != 0:
                raise SystemExit(f"the command ended with {process.returncode}; see the file log in --out")
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            tell(f"kill: {kills} of {given.kills}, {bench.note()} of {cells} cells finished")
    return {
        "kills": kills,
        "seconds": time.perf_counter() - tried,
        **compared(bench, whole),
        "passed": kills >= given.kills and same(bench, whole),
    }


def workers(given: argparse.Namespace, whole: Bench, seconds: float) -> dict[str, Any]:
    bench = Bench(given, "workers", "--executor", "processes", "--workers", "2")
    found = with_workers_killed(bench, lambda command: "spawn_main" in command, given.worker_kills, given.seed)
    return found | compared(bench, whole) | {"passed": bool(found["kills"]) and same(bench, whole)}


def ray(given: argparse.Namespace, whole: Bench, seconds: float) -> dict[str, Any]:
    taken, start_up = {}, {}
    for count in (1, 2):
        tell(f"ray: {count} worker{'s' * (count > 1)}")
        bench = Bench(given, f"ray-{count}", "--executor", "ray", "--workers", str(count))
        taken[count], start_up[count] = bench.run(), bench.start_up
        if bench.tables() != whole.tables():
            return {"passed": False, "why": f"the tables of {count} workers differ"}
    bench = Bench(given, "ray-killed", "--executor", "ray", "--workers", "2")
    found = with_workers_killed(bench, lambda command: command.startswith("ray::work"), 1, given.seed)
    ratio = taken[2] / taken[1]
    return {
        "seconds of one worker": taken[1],
        "seconds of two workers": taken[2],
        "ratio": ratio,
        "ratio from the first cell on": (taken[2] - start_up[2]) / (taken[1] - start_up[1]),
        **found,
        **compared(bench, whole),
        "passed": ratio <= 0.6 and bool(found["kills"]) and same(bench, whole),
    }


def with_workers_killed(bench: Bench, is_worker: Callable[[str], bool], times: int, seed: int) -> dict[str, Any]:
    """Run, and kill one random worker whenever some new cells are finished."""
    draw, kills, finished = random.Random(seed), 0, 0
    began, process = time.perf_counter(), bench.start()
    while process.poll() is None:
        time.sleep(draw.uniform(0.05, 0.5))
        found = [pid for pid, command in descendants(process.pid) if is_worker(command)]
        if kills < times and found and bench.count() > finished:
            os.kill(draw.choice(found), signal.SIGKILL)
            kills, finished = kills + 1, bench.note()
            tell(f"a worker of {bench.folder.name} killed: {kills} of {times}, {finished} cells finished")
    ended(process)
    return {"kills": kills, "seconds": time.perf_counter() - began}


def plugins(given: argparse.Namespace, whole: Bench, seconds: float) -> dict[str, Any]:
    """Whether each misbehaving method has only errors, of the right kind, and the others are unaffected by it."""
    prompts = list(dict.fromkeys(row["prompt"] for row in whole.rows()))[:2]
    (given.out / "prompts.txt").write_text("\n".join(prompts))
    changes = {
        "--methods": ",".join((*(f"bad(how={how})" for how in BAD), given.methods)),
        "--prompts": str(given.out / "prompts.txt"),
        "--reference": given.methods.split(",")[0],
        "--time-limit": f"{max(30.0, seconds):g}",
    }
    bench = Bench(given, "plugins", "--executor", "processes", "--workers", "2", **changes)
    taken = bench.run()
    rows, without = bench.rows(), [row for row in whole.rows() if row["prompt"] in prompts]
    wrong = []
    for how, text in BAD.items():
        errors = {row["error"] for row in rows if row["method"] == f"bad(how={how})"}
        if not errors or any(text not in error for error in errors):
            wrong.append(f"{how}: {sorted(errors)}")
    others = [row for row in rows if not row["method"].startswith("bad(")]
    return {
        "seconds": taken,
        "cells spoiled": len(rows) - len(others),
        "unexpected": wrong,
        "other cells": len(others),
        "others as without": others == without,
        "passed": not wrong and others == without,
    }


def same(bench: Bench, whole: Bench) -> bool:
    return bench.tables() == whole.tables() and bench.twice() == 0


def compared(bench: Bench, whole: Bench) -> dict[str, Any]:
    return {
        "cells": len(bench.cells()),
        "cells begun": bench.begun(),
        "finished cells computed twice": bench.twice(),
        "tables identical": bench.tables() == whole.tables(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=f"{', '.join(TRIALS)}; default: all")
    parser.add_argument("--out", type=Path, default=Path("survival-out"))
    parser.add_argument("--generator", default="tiny")
    parser.add_argument("--methods", default="cross_attention,occlusion,audiogenx")
    parser.add_argument("--metrics", default="mask_size,average_precision,perturbation_curves,infidelity,kl_f")
    parser.add_argument("--prompts", default="laboratory:test:6")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--worker-kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    unknown = set(given.trials) - set(TRIALS)
    if unknown:
        parser.error(f"no trial named {', '.join(sorted(unknown))}; there are {', '.join(TRIALS)}")
    given.out.mkdir(parents=True, exist_ok=True)

    whole = Bench(given, "whole")
    tell("uninterrupted")
    seconds = whole.run()
    found: dict[str, Any] = {
        "whole": {"seconds": seconds, "of start-up": whole.start_up, "cells": len(whole.cells()), "passed": True}
    }
    run = {"kill": kill, "workers": workers, "ray": ray, "plugins": plugins}
    for trial in given.trials or TRIALS:
        tell(trial)
        found[trial] = run[trial](given, whole, seconds)
        settings = {key: str(value) for key, value in vars(given).items() if key not in ("out", "trials")}
        content = {"settings": settings, "machine": platform.machine(), "cpus": os.cpu_count(), "trials": found}
        (given.out / "survival.json").write_text(json.dumps(content, indent=2) + "\n")
    text = "| trial | passed | what was seen |\n| --- | --- | --- |\n"
    for trial, seen in found.items():
        details = ", ".join(
            f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in seen.items() if k != "passed"
        )
        text += f"| {trial} | {'yes' if seen['passed'] else '**no**'} | {details} |\n"
    (given.out / "survival.md").write_text(text)
    print(text)
    sys.exit(not all(seen["passed"] for seen in found.values()))


if __name__ == "__main__":
    main()
