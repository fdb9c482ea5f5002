"""Two workers as they are simulated from the jobs of one, against two real ones.

    uv run python benchmarks/cluster.py [--prompts 32] [--cpu-time] [--out FILE]

A plan of the analytic model is divided as for two workers, and one process does all jobs. That gives the seconds of a
clip, of loading the model, and of what a process's first job loads besides; from these,
`tagxai.benchmark.foresight.schedule` simulates two workers. Then two real processes do the work. Promised is a ratio
within 10 %. With `--cpu-time`, seconds are the processor's: the real run is then the larger sum of its two processes'
jobs, which other programs on the machine do not change.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from machine import machine

from tagxai.benchmark.cells import Job
from tagxai.benchmark.executors import Processes
from tagxai.benchmark.foresight.schedule import makespan
from tagxai.benchmark.plan_options import make_plan
from tagxai.benchmark.running import run

PROMISED = 0.1


class Done(NamedTuple):
    """A job's clips, its process and its seconds, by the clock and by the processor."""

    clips: int
    process: int
    clock: float
    processor: float


@dataclass(frozen=True)
class Timed:
    """A job's function that also says which process ran it, and how long."""

    function: Callable[[Any], Any]

    def __call__(self, job: Any) -> tuple[Any, Done]:
        clock, processor = time.perf_counter(), time.process_time()
        result = self.function(job)
        clips = len(job.clips) if isinstance(job, Job) else 0
        return result, Done(clips, os.getpid(), time.perf_counter() - clock, time.process_time() - processor)


@dataclass
class Recording:
    """Processes that keep a record of their jobs."""

    processes: int
    workers: int = 2
    here: bool = False
    done: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = Processes(self.processes)

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for job, found in self.pool.map(Timed(function), jobs):
            if isinstance(found, Exception):
                yield job, found
            else:
                self.done.append(found[1])
                yield job, found[0]

    def close(self) -> None:
        self.pool.close()


def recorded(prompts: int, processes: int) -> tuple[Done, list[Done], float]:
    """The loading of the model, the jobs of a run, and its seconds from the first job on."""
    content = {"generators": ["analytic"], "methods": ["occlusion", "shapley"], "metrics": ["mask_size", "sufficiency"]}
    plan = make_plan(content | {"prompts": f"laboratory:test:{prompts}", "device": "cpu", "threads": 1})
    begun: list[float] = []
    with TemporaryDirectory() as folder:
        pool = Recording(processes)
        run(plan, Path(folder) / "run", executor=pool, on_open=lambda _: begun.append(time.perf_counter()))
        return pool.done[0], [each for each in pool.done if each.clips], time.perf_counter() - begun[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    name = "processor" if arguments.cpu_time else "clock"
    loading, one, _ = recorded(arguments.prompts, 1)
    _, two, clock = recorded(arguments.prompts, 2)
    later = one[1:]  # the first job also loads what later ones find
    clip = sum(getattr(each, name) for each in later) / sum(each.clips for each in later)
    first = max(0.0, getattr(one[0], name) - clip * one[0].clips)
    simulated = makespan([each.clips * clip for each in two], [first, first + getattr(loading, name)])
    sums: dict[int, float] = {}
    for each in two:
        sums[each.process] = sums.get(each.process, 0.0) + each.processor
    real = max(sums.values()) if arguments.cpu_time else clock
    kept = abs(simulated / real - 1) <= PROMISED
    text = [
        "# Two workers, simulated and real",
        "",
        f"{arguments.prompts} prompts, seconds of the {name}; {machine(1)}.",
        "",
        f"One worker: {clip:.3f} s a clip, {getattr(loading, name):.2f} s for the model, {first:.2f} s a first job.",
        f"Two workers: simulated {simulated:.2f} s, real {real:.2f} s, ratio {simulated / real:.2f}; promised within "
        f"{PROMISED:.0%}: {'kept' if kept else 'MISSED'}.",
    ]
    print("\n".join(text))
    if arguments.out is not None:
        arguments.out.write_text("\n".join(text) + "\n")


if __name__ == "__main__":  # processes import this file again
    main()
