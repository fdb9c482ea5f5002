"""Two workers as they are simulated from the jobs of one, against two real ones.

    uv run python benchmarks/cluster.py [--prompts 32] [--rounds 3] [--cpu-time] [--out FILE]

A plan of the analytic model is divided as for two workers, and one process does all jobs. That gives the seconds of a
clip, of starting a process, of loading the model, and of what a process's first job loads besides; from these,
`tagxai.benchmark.foresight.schedule` simulates two workers, the second of which starts when the model is loaded in the
first. Then two real processes do the work. Promised is a ratio within 10 %. With `--cpu-time`, seconds are the
processor's: the real run is then the larger sum of its two processes' jobs, without their starts, which other programs
on the machine do not change. One processor may be slower while the other works, too: `--rounds` repeats both runs, and
the medians of the rounds' ratios count.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
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
    """A job's clips and process, when it began, and its seconds, by the clock and by the processor."""

    clips: int
    process: int
    begun: float
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
        return result, Done(clips, os.getpid(), clock, time.perf_counter() - clock, time.process_time() - processor)


@dataclass
class Recording:
    """Processes that keep a record of their jobs."""

    processes: int
    workers: int = 2
    here: bool = False
    done: list[Done] = field(default_factory=list)
    asked: float = 0.0
    """When the first job was handed over; the clock is one for all processes of a machine."""

    def __post_init__(self) -> None:
        self.pool = Processes(self.processes)

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        self.asked = self.asked or time.perf_counter()
        for job, found in self.pool.map(Timed(function), jobs):
            if isinstance(found, Exception):
                yield job, found
            else:
                self.done.append(found[1])
                yield job, found[0]

    def close(self) -> None:
        self.pool.close()


class Recorded(NamedTuple):
    """A run's loading of the model and its jobs; seconds of a process's start, and from the first job to the end."""

    start: float
    loading: Done
    jobs: list[Done]
    clock: float


def recorded(prompts: int, processes: int) -> Recorded:
    content = {"generators": ["analytic"], "methods": ["occlusion", "shapley"], "metrics": ["mask_size", "sufficiency"]}
    plan = make_plan(content | {"prompts": f"laboratory:test:{prompts}", "device": "cpu", "threads": 1})
    begun: list[float] = []
    with TemporaryDirectory() as folder:
        pool = Recording(processes)
        run(plan, Path(folder) / "run", executor=pool, on_open=lambda _: begun.append(time.perf_counter()))
        loading, *jobs = pool.done
        clock = time.perf_counter() - begun[0]
        return Recorded(loading.begun - pool.asked, loading, [each for each in jobs if each.clips], clock)


def compared(prompts: int, name: str) -> tuple[str, float]:
    """A line of what one worker took, and what two were simulated to take and took; and the ratio of the two."""
    one, two = recorded(prompts, 1), recorded(prompts, 2)
    of_first, *later = one.jobs  # the first job also loads what later ones find
    clip = sum(getattr(each, name) for each in later) / sum(each.clips for each in later)
    first = max(0.0, getattr(of_first, name) - clip * of_first.clips)
    loading, start = getattr(one.loading, name), one.start if name == "clock" else 0.0
    simulated = makespan([each.clips * clip for each in two.jobs], [first, start + loading + first])
    sums: dict[int, float] = {}
    for each in two.jobs:
        sums[each.process] = sums.get(each.process, 0.0) + each.processor
    real = two.clock if name == "clock" else max(sums.values())
    cells = [f"{value:.2f}" for value in (start, loading, first, clip, one.clock, simulated, real, simulated / real)]
    return "| " + " | ".join(cells) + " |", simulated / real


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    name = "processor" if arguments.cpu_time else "clock"
    rounds = [compared(arguments.prompts, name) for _ in range(arguments.rounds)]
    ratio = median(each for _, each in rounds)
    text = [
        "# Two workers, simulated and real",
        "",
        f"{arguments.prompts} prompts, seconds of the {name}; {machine(1)}.",
        "",
        "| a process's start | the model | a first job | a clip | one worker | two, simulated | two, real | ratio |",
        "| --- " * 8 + "|",
        *(line for line, _ in rounds),
        "",
        f"Simulated / real, median of the rounds: {ratio:.2f}; promised within {PROMISED:.0%}: "
        f"{'kept' if abs(ratio - 1) <= PROMISED else 'MISSED'}.",
    ]
    print("\n".join(text))
    if arguments.out is not None:
        arguments.out.write_text("\n".join(text) + "\n")


if __name__ == "__main__":  # processes import this file again
    main()
