"""The trials of `survival.py` that end saves: by kills, by full disks, and by a second saver.

The results are made once. Each save is that of a process forked for it, and afterwards the folder is compared, byte for
byte, with the old result and with the new one.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from survival_runs import tell

from tagxai import storage
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.plan_options import make_plan
from tagxai.benchmark.results import Results
from tagxai.contract import saved_folder
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.listening import Track
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.random import Random
from tagxai.report import benchmark as report
from tagxai.report import write_report
from tagxai.testing.checkpoints import random_generator

Save = Callable[[Path], None]
Content = dict[str, bytes]


@dataclass(frozen=True)
class Pair:
    """Two results that replace one another in one folder."""

    name: str
    saves: tuple[Save, Save]
    contents: tuple[Content, Content]

    @classmethod
    def of(cls, name: str, saves: tuple[Save, Save], out: Path) -> Pair:
        found = []
        for number, save in enumerate(saves):
            folder = out / f"{name}-{number}"
            folder.mkdir()
            save(folder)
            found.append(content(folder))
        assert found[0] != found[1]
        return cls(name, saves, (found[0], found[1]))


def content(folder: Path) -> Content:
    """All files but those that tagxai hides."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {str(path.relative_to(folder)): path for path in files}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(".tagxai")}


def pairs(out: Path) -> list[Pair]:
    """An explanation with audio and report, and the files of a benchmark. Pictures and pages are drawn once."""
    model = random_generator()
    clip = model.generate("a dog barks while rain falls", duration=0.4)
    explanations, drawn = [], []
    for number, method in enumerate((Random(), CrossAttention())):
        heard = [f"factual-{i + 1}" if number else "counterfactual" for i in range(number + 1)]
        tracks = [Track(name, name.partition("-")[0], 0, clip.waveform / 2, clip.sample_rate) for name in heard]
        explanations.append(Explanation(method.attribute(model, clip), (), tracks))
        folder = explanations[-1].save(out / f"drawn-{number}")
        drawn.append({file.name: file.read_bytes() for file in write_report(folder)})

    def explanation(number: int) -> Save:
        def save(folder: Path) -> None:
            with storage.whole_folder(folder, saved_folder.earlier) as new:
                explanations[number].write(new)
                for name, data in drawn[number].items():
                    storage.write_bytes(new / name, data)

        return save

    cells = [Measurement("tiny", p, 0, m, "mask_size", 0.1) for p in ("a dog", "rain") for m in ("occlusion", "alti")]
    plan = make_plan({"methods": ["occlusion", "alti"], "metrics": ["mask_size"], "prompts": ["a dog", "rain"]})
    whole = Results(cells, plan.methods, plan.metrics, "occlusion")
    both = (replace(whole, cells=cells[:2]), whole)
    pages = {id(each): (shown := report.tables(each), report.html(shown)) for each in both}
    report.tables = lambda results, _: pages[id(results)][0]
    report.html = lambda shown: next(page for tables, page in pages.values() if tables is shown)

    def tables(number: int) -> Save:
        def save(folder: Path) -> None:
            report.write_benchmark(both[number], folder)

        return save

    return [
        Pair.of("explain", (explanation(0), explanation(1)), out),
        Pair.of("bench", (tables(0), tables(1)), out),
    ]


def in_process(function: Callable[[], Any]) -> int:
    """Start a process that calls the function and ends, with 1 where that raises OSError or TagxaiError."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            function()
            code = 0
        except (OSError, storage.files.TagxaiError):
            code = 1
        finally:
            os._exit(code)
    return child


STEPS = ("open", "os.", "shutil.", "tempfile.")


def counting(folder: Path, after: int | None) -> Callable[[], int]:
    """Count what this process does to files from now on; it kills itself when it does more than `after` things."""
    done = itertools.count(1)
    last = [0]

    def step(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(STEPS) and event != "os.kill":
            last[0] = next(done)
            if after is not None and last[0] > after:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
    return lambda: last[0]


def kills(given: argparse.Namespace, made: list[Pair]) -> dict[str, Any]:
    """Saves that are killed: half of them at a random step, half of them at a random moment."""
    draw, seen = random.Random(given.seed), {"killed": 0, "old": 0, "new": 0, "lost": 0, "leftovers": 0}
    for pair in made:
        folder = given.out / f"killed-{pair.name}"
        folder.mkdir()
        pair.saves[0](folder)
        steps, seconds = measured(pair, folder)
        present = 1
        killed = 0
        while killed < given.save_kills // len(made):
            other = 1 - present
            by_step = killed % 2 == 0
            after = draw.randrange(steps) if by_step else None

            def save(after: int | None = after, other: int = other, pair: Pair = pair, folder: Path = folder) -> None:
                if after is not None:
                    counting(folder, after)
                pair.saves[other](folder)

            child = in_process(save)
            if not by_step:
                time.sleep(draw.uniform(0, seconds))
                os.kill(child, signal.SIGKILL)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            storage.settle(folder)  # as whatever reads or writes next does
            found = content(folder)
            seen["killed"] += ended == -signal.SIGKILL
            killed += ended == -signal.SIGKILL
            kept = next((i for i in (0, 1) if found == pair.contents[i]), None)
            seen["lost" if kept is None else "old" if kept == present else "new"] += 1
            present = present if kept is None else kept
            if ended == -signal.SIGKILL and killed % 20 == 0:
                tell(f"{pair.name}: {seen}")
        storage.sweep(folder)
        seen["leftovers"] += sum(1 for _ in folder.rglob(".tagxai*"))
        tell(f"saves of {pair.name}: {seen}")
    passed = not seen["lost"] and not seen["leftovers"] and seen["killed"] >= given.save_kills
    return {**seen, "passed": passed}


def measured(pair: Pair, folder: Path) -> tuple[int, float]:
    """The steps and seconds of a whole save in a process of its own, which puts result 1 into the folder."""
    reader, writer = os.pipe()

    def save() -> None:
        began, steps = time.perf_counter(), counting(folder, None)
        pair.saves[1](folder)
        os.write(writer, f"{steps()} {time.perf_counter() - began}".encode())

    os.waitpid(in_process(save), 0)
    steps, seconds = os.read(reader, 100).split()
    os.close(reader)
    os.close(writer)
    return int(steps), float(seconds)


def full_disks(given: argparse.Namespace, made: list[Pair]) -> dict[str, Any]:
    """Saves onto file systems (tmpfs, which root may mount) that have room for some of them."""
    seen = {"sizes": 0, "old": 0, "new": 0, "lost": 0, "leftovers": 0, "refused": 0}
    pair = made[0]
    old, new = (sum(4096 + len(data) for data in content.values()) for content in pair.contents)
    disk = given.out / "disk"
    disk.mkdir()
    for number in range(20):
        size = old + 65536 + int(number / 16 * (new + 65536))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True)
        try:
            folder = disk / "out"
            folder.mkdir()
            pair.saves[0](folder)
            code = os.waitstatus_to_exitcode(os.waitpid(in_process(lambda at=folder: pair.saves[1](at)), 0)[1])
            found = content(folder)
            kept = next((i for i in (0, 1) if found == pair.contents[i]), None)
            seen["sizes"] += 1
            seen["lost" if kept is None or (code == 0) != (kept == 1) else ("old", "new")[kept]] += 1
            seen["refused"] += code == 1
            seen["leftovers"] += sum(1 for _ in folder.rglob(".tagxai*"))
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    tell(f"full disks: {seen}")
    passed = not seen["lost"] and not seen["leftovers"] and bool(seen["old"] and seen["new"])
    return {**seen, "passed": passed}


def two_savers(given: argparse.Namespace, made: list[Pair]) -> dict[str, Any]:
    """Two processes that save different results into one folder at one time."""
    seen = {"times": 0, "first": 0, "second": 0, "mixed": 0, "leftovers": 0, "failed": 0}
    for pair in made:
        folder = given.out / f"savers-{pair.name}"
        folder.mkdir()
        for _ in range(50):
            children = [in_process(lambda save=save, at=folder: save(at)) for save in pair.saves]
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            found = content(folder)
            kept = next((i for i in (0, 1) if found == pair.contents[i]), None)
            seen["times"] += 1
            seen["mixed" if kept is None else ("first", "second")[kept]] += 1
            seen["failed"] += sum(code != 0 for code in codes)
            seen["leftovers"] += sum(1 for _ in folder.rglob(".tagxai*"))
    tell(f"two savers: {seen}")
    return {**seen, "passed": not (seen["mixed"] or seen["leftovers"] or seen["failed"])}


def saves(given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """All three, by name."""
    place = given.out / "saves"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    given = argparse.Namespace(**vars(given) | {"out": place})
    made = pairs(place)
    found = {"kills inside saves": kills(given, made), "two savers": two_savers(given, made)}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        found["full disks"] = full_disks(given, made)
    return found
