"""Runs that survive: `tagxai bench` when it is killed, spread over processes, or given methods that misbehave.

    uv run python benchmarks/survival.py [kill] [workers] [ray] [plugins] [saves] [misdeeds] [broken] [--out FOLDER]
        [--prompts WHICH]

Each trial runs the real command in separate processes, and compares the final `results.csv` and the tables (except cost
and provenance) with those of an uninterrupted run, byte for byte:
  kill     the run is killed (SIGKILL) at random moments, at least --kills times, and restarted until it is done
  workers  the same plan with `--executor processes`, some of whose workers are killed
  ray      with Ray: two workers compared with one, each with one thread, and again with a worker killed midway
  saves    processes killed inside the saves of explain and bench (--save-kills), 20 sizes of full disks (as root), and
           two savers in one folder, 100 times: the old result or the new one is whole (see `survival_saves.py`)
  plugins  methods that raise, return NaN or a wrong shape, leave a hook, never finish, or crash: only their cells fail
  misdeeds  forty methods that change what they are given, the model or the process: no other cell changes
  broken   twelve broken plugins installed at once: all commands that need none work, in at most 1.2 of their CPU time
"Computed twice" is counted: metrics write a line to a journal when they start, and after every kill the finished cells
are recorded. A later line about a finished cell is a cell computed twice, and so is a file that was written again.
Prints Markdown and writes it to FOLDER/survival.md; the measurements go to FOLDER/survival.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from survival_guests import broken, misdeeds
from survival_plugin import BAD
from survival_runs import ENDED, Bench, descendants, ended, tell

TRIALS = ("kill", "workers", "ray", "plugins", "saves", "misdeeds", "broken")
ALONE: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"misdeeds": misdeeds, "broken": broken}
"""Trials that need no run to compare with."""


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
            if process.wait(draw.uniform(0, longest) if left > 0 else None) not in ENDED:
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
        errors = {row["why"] for row in rows if row["method"] == f"bad(how={how})"}
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
    parser.add_argument("--save-kills", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5, help="of each timed command in `broken`")
    parser.add_argument("--worker-kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    unknown = set(given.trials) - set(TRIALS)
    if unknown:
        parser.error(f"no trial named {', '.join(sorted(unknown))}; there are {', '.join(TRIALS)}")
    given.out.mkdir(parents=True, exist_ok=True)

    found: dict[str, Any] = {}
    run = {"kill": kill, "workers": workers, "ray": ray, "plugins": plugins}
    if not given.trials or set(given.trials) & set(run):
        whole = Bench(given, "whole")
        tell("uninterrupted")
        seconds = whole.run()
        found["whole"] = {
            "seconds": seconds,
            "of start-up": whole.start_up,
            "cells": len(whole.cells()),
            "passed": True,
        }
    for trial in given.trials or TRIALS:
        tell(trial)
        if trial == "saves":
            from survival_saves import saves

            found |= saves(given)
        elif trial in ALONE:
            found[trial] = ALONE[trial](given)
        else:
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
