"""A short trial: the first clips of each kind of work, in growing batches, timed where the run itself will work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from time import perf_counter

from tagxai.benchmark import isolation
from tagxai.benchmark.cells import Job
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.store import Store
from tagxai.contract.peak import peak_memory
from tagxai.explaining.making import AT_ONCE

PATIENCE = 120.0
"""Seconds that each of the first two clips of a kind may take: without whole clips little can be said."""


@dataclass(frozen=True)
class TrialTask:
    """The work of a run by its kind: every clip of a job needs the same methods and metrics.

    `seconds` is what the trial may take; the first two clips of each kind may take up to `PATIENCE`.
    """

    kinds: tuple[Job, ...]
    seconds: float


@dataclass(frozen=True)
class Timing:
    """Some clips of one kind, worked on together."""

    clips: int
    seconds: float


@dataclass(frozen=True)
class Tried:
    """What one kind of work took. `complete` is False where the time was over before even one clip was done.

    `refused` are the methods that applied to none of its clips, though others did, and why.
    """

    timings: tuple[Timing, ...]
    complete: bool
    cells: int = 0
    generating: float = 0.0
    explaining: float = 0.0
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def clips(self) -> int:
        return sum(each.clips for each in self.timings)

    @property
    def seconds(self) -> float:
        return sum(each.seconds for each in self.timings)

    @property
    def line(self) -> tuple[float, float]:
        """Seconds of a batch, and of each clip in it: what fits the timings best, the first left out.

        The first also pays for what is loaded once, so it counts only where it is the only one.

        >>> Tried((Timing(1, 9.0), Timing(1, 3.0), Timing(2, 4.0)), True).line
        (2.0, 1.0)
        """
        later = self.timings[1:] or self.timings
        clips, seconds = (fmean(values) for values in zip(*((t.clips, t.seconds) for t in later), strict=True))
        spread = sum((each.clips - clips) ** 2 for each in later)
        slope = sum((t.clips - clips) * (t.seconds - seconds) for t in later) / spread if spread else seconds / clips
        slope = min(max(slope, 0.0), seconds / clips)  # neither a batch nor a clip takes less than nothing
        return seconds - slope * clips, slope

    @property
    def warm_up(self) -> float:
        """What the first clip took more than later ones; 0 where there is no later one."""
        batch, clip = self.line
        return max(0.0, self.timings[0].seconds - batch - clip) if self.timings[1:] else 0.0


@dataclass(frozen=True)
class Trial:
    """What came of each kind of work, and the bytes of memory that the process took at its peak."""

    tried: tuple[Tried, ...]
    memory: int


class _TimeIsOver(Exception):
    """Ends work that has cells left."""


def try_out(task: TrialTask) -> Trial:
    """Work on a few clips of each kind. What is finished stays in the folder; what the trial itself stopped does not
    count as failed."""
    end = perf_counter() + task.seconds
    tried = []
    for number, kind in enumerate(task.kinds):
        share = max(1.0, (end - perf_counter()) / (len(task.kinds) - number))
        tried.append(_try_kind(kind, share))
    return Trial(tuple(tried), peak_memory())


def _try_kind(kind: Job, seconds: float) -> Tried:
    """Batches of 1, 1, 2, 4 ... clips, while the next one is likely to fit into the time; at least the first two."""
    timings: list[Timing] = []
    cells: list[Measurement] = []
    at, size, spent = 0, 1, 0.0
    while at < len(kind.clips):
        size = min(size, AT_ONCE, len(kind.clips) - at)
        if len(timings) > 1 and spent + size * timings[-1].seconds / timings[-1].clips > seconds:
            break  # two are always tried: the first tells nothing about later ones
        part = replace(kind, clips=kind.clips[at : at + size])
        started = perf_counter()
        patience = max(seconds, PATIENCE) if len(timings) < 2 else seconds - spent
        complete = _work(part, patience, cells)
        timings.append(Timing(size, perf_counter() - started))
        spent += timings[-1].seconds
        if not complete:
            if len(timings) == 1:
                return Tried(tuple(timings), False, len(cells))
            timings.pop()
            break
        size, at = size * 2 if at else 1, at + size
    generated = {(cell.prompt, cell.seed): cell.generate_seconds or 0.0 for cell in cells}
    explained = {(cell.prompt, cell.seed, cell.method): cell.seconds or 0.0 for cell in cells}
    times = sum(generated.values()), sum(explained.values())
    return Tried(tuple(timings), True, len(cells), *times, _refused(cells))


def _refused(cells: Sequence[Measurement]) -> dict[str, str]:
    """Methods that have no value where others have one, and why they do not apply."""
    measured = {(cell.prompt, cell.seed, cell.metric) for cell in cells if cell.value is not None}
    applied = {cell.method for cell in cells if cell.status != "not applicable"}
    return {
        cell.method: cell.not_applicable
        for cell in cells
        if cell.not_applicable and cell.method not in applied and (cell.prompt, cell.seed, cell.metric) in measured
    }


def _work(job: Job, seconds: float, cells: list[Measurement]) -> bool:
    """Work on a job for about so many seconds at most; returns whether all its cells were computed."""
    end = perf_counter() + max(1.0, seconds)
    limit = min(job.time_limit or float("inf"), max(1.0, seconds)) if _can_limit() else job.time_limit
    stopped: list[Measurement] = []
    before = len(cells)

    def watch(cell: Measurement) -> None:
        cells.append(cell)
        if cell.error is not None and limit != job.time_limit and f"than the limit of {limit:g} s" in cell.error:
            stopped.append(cell)
        if perf_counter() > end and job.cells > len(cells) - before:
            raise _TimeIsOver

    try:
        isolation.work(replace(job, time_limit=limit), watch)
    except _TimeIsOver:
        return False
    finally:
        if stopped:
            _forget(job)
    return not stopped


def _can_limit() -> bool:
    import signal
    import threading

    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def _forget(job: Job) -> None:
    """Leave no cell behind that failed: the trial's own time limit may have stopped it."""
    store = Store(job.folder)
    for clip, todo in job.clips:
        for method, metrics in todo:
            for metric in metrics:
                store.forget_failure(clip.cell(method, metric))


def kinds_of(jobs: Sequence[Job]) -> list[Job]:
    """The clips of some jobs as one job for each kind of work: the same model, plugins, methods and metrics."""
    found: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        for clip in job.clips:
            single = replace(job, clips=(clip,))
            found.setdefault(kind_of(single), []).append(single)
    return [replace(parts[0], clips=tuple(part.clips[0] for part in parts)) for parts in found.values()]


def kind_of(job: Job) -> tuple[object, ...]:
    """What the first clip of a job needs."""
    _, todo = job.clips[0]
    return job.model, job.plugins, tuple((method.label, tuple(metric.label for metric in of)) for method, of in todo)
