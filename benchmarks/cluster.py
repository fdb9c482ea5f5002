"""Two workers as they are simulated from the jobs of one, against two real ones.

    uv run python benchmarks/cluster.py [--prompts 32] [--rounds 3] [--cpu-time] [--ray] [--out FILE]

A plan of the analytic model is divided as for two workers, and one process does all jobs. That gives the seconds of a
clip, of starting a process, of loading the model, and of what a process's first job loads besides; from these,
`tagxai.benchmark.foresight.schedule` simulates two workers, the second of which starts when the model is loaded in the
first. Then two real processes do the work. Promised is a ratio within 10 %. With `--cpu-time`, seconds are the
processor's: the real run is then the larger sum of its two processes' jobs, without their starts, which other programs
on the machine do not change. One processor may be slower while the other works, too: `--rounds` repeats both runs, and
the medians of the rounds' ratios count.

With `--ray`, nothing is simulated: one and two workers of a Ray cluster on this machine do the same plan. The ratio of
two to one is of the clock, from the first job to the end; of the jobs after each worker's first, which loads the model;
and of the processor's seconds of the worker that takes longer. Promised is at most 0.55.
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
from tagxai.benchmark.executors import Executor, Processes, make_executor
from tagxai.benchmark.foresight.schedule import makespan
from tagxai.benchmark.plan_options import make_plan
from tagxai.benchmark.running import run

PROMISED = 0.1
PROMISED_OF_RAY = 0.55


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
    """Workers that keep a record of their jobs, which are divided as for two of them."""

    pool: Executor
    workers: int = 2
    here: bool = False
    done: list[Done] = field(default_factory=list)
    asked: float = 0.0
    """When the first job was handed over; the clock is one for all processes of a machine."""

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        self.asked = self.asked or time.perf_counter()
        timed = Timed(function)
        task = timed if isinstance(self.pool, Processes) else lambda job: timed(job)  # Ray takes functions alone
        for job, found in self.pool.map(task, jobs):
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


def recorded(prompts: int, workers: int, executor: str = "processes") -> Recorded:
    content = {"generators": ["analytic"], "methods": ["occlusion", "shapley"], "metrics": ["mask_size", "sufficiency"]}
    plan = make_plan(content | {"prompts": f"laboratory:test:{prompts}", "device": "cpu", "threads": 1})
    begun: list[float] = []
    with TemporaryDirectory() as folder:
        pool = Recording(make_executor(executor, workers))
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


def by_ray(prompts: int) -> tuple[str, float]:
    """A line of what one Ray worker and two took: the clock, jobs after each worker's first, the processor's seconds;
    and the ratio of the clock."""
    cells, ratios = [], []
    for found in zip(*(_taken(recorded(prompts, workers, "ray")) for workers in (1, 2)), strict=True):
        ratios.append(found[1] / found[0])
        cells += [f"{value:.2f}" for value in (*found, ratios[-1])]
    return "| " + " | ".join(cells) + " |", ratios[0]


def _taken(run: Recorded) -> tuple[float, float, float]:
    """Seconds from the first job to the end; of a worker's jobs after its first, if all were as fast as these; and of
    the processor, of the worker that took most of it."""
    jobs: dict[int, list[Done]] = {}
    for each in run.jobs:
        jobs.setdefault(each.process, []).append(each)
    later = [each for mine in jobs.values() for each in mine[1:]]
    clip = sum(each.clock for each in later) / sum(each.clips for each in later)
    alone = clip * sum(each.clips for each in run.jobs) / len(jobs)
    return run.clock, alone, max(sum(each.processor for each in mine) for mine in jobs.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = ray_text(arguments) if arguments.ray else simulated_text(arguments)
    print("\n".join(text))
    if arguments.out is not None:
        arguments.out.write_text("\n".join(text) + "\n")


def simulated_text(arguments: argparse.Namespace) -> list[str]:
    name = "processor" if arguments.cpu_time else "clock"
    rounds = [compared(arguments.prompts, name) for _ in range(arguments.rounds)]
    ratio = median(each for _, each in rounds)
    return [
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


def ray_text(arguments: argparse.Namespace) -> list[str]:
    rounds = [by_ray(arguments.prompts) for _ in range(arguments.rounds)]
    ratio = median(each for _, each in rounds)
    kinds = ("clock", "jobs after the first", "processor")
    heads = [f"{kind}: one | two | ratio" for kind in kinds]
    return [
        "# One and two workers on Ray",
        "",
        f"{arguments.prompts} prompts, seconds; {machine(1)}.",
        "",
        "| " + " | ".join(heads) + " |",
        "| --- " * 9 + "|",
        *(line for line, _ in rounds),
        "",
        f"Two / one by the clock, median of the rounds: {ratio:.2f}; promised at most {PROMISED_OF_RAY}: "
        f"{'kept' if ratio <= PROMISED_OF_RAY else 'MISSED'}.",
    ]


if __name__ == "__main__":  # processes import this file again
    main()
