"""Run a plan into a folder, and resume a run that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from tagxai import storage
from tagxai.benchmark import cells, isolation, models, nursery
from tagxai.benchmark.clip_spec import ClipSpec
from tagxai.benchmark.executors import Executor, ProcessDiedError, make_executor
from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.plan import Plan
from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.planned_run import PlannedRun
from tagxai.benchmark.provenance import provenance
from tagxai.benchmark.store import SCHEMA, SCHEMA_OF_RESULTS, Store
from tagxai.errors import TagxaiError, error_sentence
from tagxai.explaining.making import AT_ONCE

JOBS_OF_A_WORKER = 4
"""At least, where there are so many clips: workers that end early find more to do."""


class Status(NamedTuple):
    """How far a run is: the cells it has done out of `total` that it has to compute, and how many of them failed.

    `kept` cells were in the folder before.
    """

    done: int
    total: int
    failed: int
    kept: int
    message: str


OnStatus = Callable[[Status], None]


@dataclass(frozen=True)
class Opened:
    """A run that may begin: its models are known. `start_seconds` is what loading one of them took."""

    planned: PlannedRun
    store: Store
    pool: Executor
    start_seconds: float

    def jobs(self) -> list[cells.Job]:
        """What is still to be computed."""
        return _jobs(self.planned, self.store, self.pool)


def run(
    plan: Plan,
    folder: str | Path,
    *,
    executor: str | Executor = "local",
    workers: int | None = None,
    retry_failed: bool = False,
    force: bool = False,
    on_open: Callable[[Opened], None] | None = None,
    on_status: OnStatus | None = None,
) -> PlannedRun:
    """Compute all cells of the plan that are not in `folder`. A cell that fails holds its error; the run continues.

    `on_open` is called before the first job; what it raises ends the run. Raises TagxaiError where a generator cannot
    be loaded, where no method or metric works with any generator, where another run is writing into the folder, or
    where it holds anything but a benchmark, unless `force` is given.
    """
    with opened(plan, folder, executor=executor, workers=workers, force=force) as found:
        planned, store = found.planned, found.store
        store.write_runs([planned])
        if retry_failed:
            for clip, method, metric in planned.cells():
                store.forget_failure(clip.cell(method, metric))
        if on_open is not None:
            on_open(found)
        _compute(found.pool, found.jobs(), sum(1 for _ in planned.cells()), on_status)
    return planned


@contextmanager
def opened(
    plan: Plan,
    folder: str | Path,
    *,
    executor: str | Executor = "local",
    workers: int | None = None,
    force: bool = False,
) -> Iterator[Opened]:
    """The folder claimed, the workers started, and the plan checked against its models. Raises TagxaiError."""
    gpus = 1 if plan.device == "cuda" else 0
    models.forget_loaded()  # by an earlier run: its files may have been replaced since
    with ExitStack() as stack:
        store = Store(stack.enter_context(storage.claimed(folder, SCHEMA, SCHEMA_OF_RESULTS, force=force)))
        stack.enter_context(storage.alone(store.folder))
        store.check_free()
        made = make_executor(executor, workers, gpus=gpus) if isinstance(executor, str) else executor
        pool = stack.enter_context(closing(made))
        asked = [models.Inspection(_model(plan, spec), plan.sampling) for spec in plan.generators]
        started = perf_counter()
        found = {each.model.spec: result for each, result in pool.map(models.inspect, asked)}
        seconds = (perf_counter() - started) / len(asked)
        for result in found.values():
            if isinstance(result, Exception):
                raise result
        planned = PlannedRun(plan, found, provenance())
        check(planned)
        stack.callback(nursery.close)  # that of this process; workers end with theirs
        yield Opened(planned, store, pool, seconds)


def check(planned: PlannedRun) -> None:
    """Raises TagxaiError where a plan and its generators do not go together."""
    plan = planned.plan

    def usable(label: str, entries: tuple[PlanEntry, ...]) -> bool:
        return not all(entry.is_control for entry in planned.supported(label, entries))

    for kind, entries in (("method", plan.methods), ("metric", plan.metrics)):
        if not any(usable(label, entries) for label in plan.generators):
            raise TagxaiError(f"none of the {kind}s works with {' or '.join(plan.generators)}; see `tagxai list`")
    if not any(usable(label, plan.methods) and usable(label, plan.metrics) for label in plan.generators):
        names = ", ".join(plan.generators)
        raise TagxaiError(f"none of {names} works with both a method and a metric of this plan; see `tagxai list`")
    for number, label in enumerate(plan.generators):
        identity = planned.generators[label]["identity"]  # equal identities would share their cells
        same = next((g for g in plan.generators[:number] if planned.generators[g]["identity"] == identity), None)
        if same is not None:
            raise TagxaiError(
                f"generators {same!r} and {label!r} are the same model with equal weights; give one of them"
            )
        longest = planned.generators[label]["max_duration"]
        if plan.duration is not None and plan.duration > longest + 1e-6:
            raise TagxaiError(f"generator {label!r} cannot make {plan.duration:g} s: expected at most {longest:g} s")


def _model(plan: Plan, spec: str) -> models.ModelSpec:
    return models.ModelSpec(spec, plan.device, plan.dtype, plan.threads)


def _jobs(planned: PlannedRun, store: Store, pool: Executor) -> list[cells.Job]:
    """The clips that have unfinished cells, as batches of one model; smaller ones where there are several workers.

    Code from outside has jobs of its own, which come last: the clips are made by then.
    """
    folder, plan = str(store.folder.resolve()), planned.plan
    left: dict[tuple[str, isolation.ForeignCode], list[tuple[ClipSpec, cells.Todo]]] = {}
    for clip in planned.clips():
        for foreign, todo in isolation.by_foreign_code(cells.unfinished(store, clip, planned.work_on(clip))).items():
            left.setdefault((clip.label, foreign), []).append((clip, todo))
    jobs = []
    for (label, foreign), clips in sorted(left.items(), key=lambda pair: pair[0][1] != isolation.NO_FOREIGN_CODE):
        made_by = PlanEntry("", "", planned.generators[label]["identity"]["origin"]).distribution
        plugins = isolation.plugins_of(clips[0][1], made_by) if foreign != isolation.NO_FOREIGN_CODE else None
        share = AT_ONCE if pool.here else -(-len(clips) // (JOBS_OF_A_WORKER * pool.workers))
        # a process of its own takes time to start
        size = min(AT_ONCE, share) if plugins is None else -(-len(clips) // pool.workers)
        batches = (tuple(clips[first : first + size]) for first in range(0, len(clips), size))
        jobs += [cells.Job(folder, _model(plan, label), batch, plan.time_limit, plugins) for batch in batches]
    return jobs


def _compute(pool: Executor, jobs: list[cells.Job], cells_in_all: int, on_status: OnStatus | None) -> None:
    total = sum(job.cells for job in jobs)
    done = failed = 0

    def report(newly_done: int, newly_failed: int, message: str) -> None:
        nonlocal done, failed
        done, failed = done + newly_done, failed + newly_failed
        if on_status is not None:
            on_status(Status(done, total, failed, cells_in_all - total, message))

    def report_cell(cell: Measurement) -> None:
        report(1, cell.error is not None, f"{cell.method}: {cell.prompt}")

    function: Any = partial(isolation.work, on_cell=report_cell) if pool.here else isolation.work
    report(0, 0, "")
    while jobs:
        again = [job for job in jobs if job.plugins is not None]
        jobs = [job for job in jobs if job.plugins is None]
        if not jobs:  # all of tagxai's own are done
            models.forget_loaded()
            jobs, again = again, []
        for job, result in pool.map(function, jobs):
            if isinstance(result, ProcessDiedError) and len(job.todo) > 1:
                again += job.parts()  # to find the one clip and method that is to blame
                continue
            lost = _fail(job, result) if isinstance(result, Exception) else 0
            if not pool.here:
                report(job.cells, lost or result, job.clips[0][0].prompt)
            elif lost:
                report(lost, lost, job.clips[0][0].prompt)
        jobs = again


def _fail(job: cells.Job, error: Exception) -> int:
    """Write what ended a job into every cell that it left unfinished; returns their number."""
    failed = 0
    for clip, todo in job.clips:
        writer = cells.CellWriter(Store(job.folder), clip)
        writer.fail(cells.unfinished(writer.store, clip, todo), error_sentence(error))
        failed += writer.failed
    return failed
