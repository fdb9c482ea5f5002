"""Run a plan into a folder, and go on where an earlier run of it was stopped."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tagxai import storage
from tagxai.benchmark import cells
from tagxai.benchmark.executors import Executor, ProcessDiedError, make_executor
from tagxai.benchmark.plan import Part, Plan
from tagxai.benchmark.store import Row, Run, Store
from tagxai.contract.attribution import installed_versions
from tagxai.errors import TagxaiError


class Status(NamedTuple):
    """How far a run is: cells that are done of all that this run has to compute, and how many of them failed.

    `kept` cells were in the folder before.
    """

    done: int
    total: int
    failed: int
    kept: int
    message: str


OnStatus = Callable[[Status], None]


def run(
    plan: Plan,
    folder: str | Path,
    *,
    executor: str | Executor = "local",
    workers: int | None = None,
    retry_failed: bool = False,
    on_status: OnStatus | None = None,
) -> Run:
    """Compute all cells of the plan that are not in `folder`. A cell that fails holds its error and ends nothing.

    Raises TagxaiError where a generator cannot be loaded, or no method or metric works with any.
    """
    gpus = 1 if plan.device == "cuda" else 0
    with ExitStack() as stack:
        store = Store(stack.enter_context(storage.new_folder(folder)))
        store.check_free()
        made = make_executor(executor, workers, gpus=gpus) if isinstance(executor, str) else executor
        pool = stack.enter_context(closing(made))
        models = {spec: cells.Model(spec, plan.device, plan.dtype, plan.threads) for spec in plan.generators}
        found = {model.spec: result for model, result in pool.map(cells.inspect, list(models.values()))}
        for result in found.values():
            if isinstance(result, Exception):
                raise result
        planned = Run(plan, found, provenance())
        check(planned)
        store.write_runs([planned])
        if retry_failed:
            for clip, method, metric in planned.cells():
                store.forget_failure(clip.cell(method, metric))
        jobs = _jobs(planned, store, models)
        _compute(pool, jobs, sum(1 for _ in planned.cells()), on_status)
    return planned


def check(planned: Run) -> None:
    """Raises TagxaiError where a plan and its generators do not go together."""
    plan = planned.plan

    def usable(label: str, parts: tuple[Part, ...]) -> bool:
        return not all(part.is_control for part in planned.supported(label, parts))

    for kind, parts in (("method", plan.methods), ("metric", plan.metrics)):
        if not any(usable(label, parts) for label in plan.generators):
            raise TagxaiError(f"none of the {kind}s works with {' or '.join(plan.generators)}; see `tagxai list`")
    if not any(usable(label, plan.methods) and usable(label, plan.metrics) for label in plan.generators):
        names = ", ".join(plan.generators)
        raise TagxaiError(f"none of {names} works with both a method and a metric of this plan; see `tagxai list`")
    for number, label in enumerate(plan.generators):
        identity = planned.generators[label]["identity"]  # that of another: their cells are the same
        same = next((g for g in plan.generators[:number] if planned.generators[g]["identity"] == identity), None)
        if same is not None:
            raise TagxaiError(
                f"generators {same!r} and {label!r} are the same model with equal weights; give one of them"
            )
        longest = planned.generators[label]["max_duration"]
        if plan.duration is not None and plan.duration > longest + 1e-6:
            raise TagxaiError(f"generator {label!r} cannot make {plan.duration:g} s: expected at most {longest:g} s")


def _jobs(planned: Run, store: Store, models: dict[str, cells.Model]) -> list[cells.Job]:
    jobs = []
    for clip in planned.clips():
        methods, metrics = (
            planned.supported(clip.label, parts)
            for parts in (planned.plan.methods, planned.plan.metrics_of(clip.prompt))
        )
        undone = cells.todo(store, clip, ((method, metrics) for method in methods))
        if undone:
            folder = str(store.folder.resolve())
            jobs.append(cells.Job(folder, models[clip.label], clip, undone, planned.plan.time_limit))
    return jobs


def _compute(pool: Executor, jobs: list[cells.Job], cells_in_all: int, on_status: OnStatus | None) -> None:
    total = sum(job.cells for job in jobs)
    done = failed = 0

    def tell(finished: int, bad: int, message: str) -> None:
        nonlocal done, failed
        done, failed = done + finished, failed + bad
        if on_status is not None:
            on_status(Status(done, total, failed, cells_in_all - total, message))

    def finished_cell(row: Row) -> None:
        tell(1, row.error is not None, f"{row.method}: {row.prompt}")

    function: Any = partial(cells.work, on_cell=finished_cell) if pool.here else cells.work
    tell(0, 0, "")
    while jobs:
        again: list[cells.Job] = []
        for job, result in pool.map(function, jobs):
            if isinstance(result, ProcessDiedError) and len(job.todo) > 1:
                again += [replace(job, todo=(pair,)) for pair in job.todo]  # one method is to blame: the others go on
                continue
            lost = _fail(job, result) if isinstance(result, Exception) else 0
            if not pool.here:
                tell(job.cells, lost or result, job.clip.prompt)
            elif lost:
                tell(lost, lost, job.clip.prompt)
        jobs = again


def _fail(job: cells.Job, error: Exception) -> int:
    """Say in every cell that a job has left undone what ended it; returns how many these are."""
    store, clip, lost = Store(job.folder), job.clip, 0
    text = " ".join((str(error) if isinstance(error, TagxaiError) else f"{type(error).__name__}: {error}").split())
    for method, metrics in job.todo:
        for metric in metrics:
            name = clip.cell(method, metric)
            if not store.is_done(name):
                lost += 1
                store.write_cell(name, Row(clip.label, clip.prompt, clip.seed, method.label, metric.label, error=text))
    return lost


def provenance() -> dict[str, Any]:
    """What was installed, and the commit where tagxai lies in a checkout."""
    package = Path(__file__).parent
    git = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        commit = None
    return {
        "versions": installed_versions(),
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "commit": commit,
    }
