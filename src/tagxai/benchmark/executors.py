"""Where jobs run: in this process, in several, or over a Ray cluster. Each job runs, whatever happens to others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal, Protocol, TypeVar, get_args, runtime_checkable

from tagxai.errors import TagxaiError, UnknownNameError

ExecutorName = Literal["local", "processes", "ray"]

J = TypeVar("J")

ATTEMPTS = 3
"""How often a job whose process dies is run before it is given up."""


class ProcessDiedError(TagxaiError):
    """The process of a job died each time that the job was run."""

    def __init__(self) -> None:
        super().__init__(f"its process died {ATTEMPTS} times; is there enough memory?")


@runtime_checkable
class Executor(Protocol):
    """`map` yields each job with its result, or the exception that ended it, as they finish.

    `here` says that jobs run in this very process, so that they can report while they run; `workers` is how many run
    at a time.
    """

    here: bool
    workers: int

    def map(self, function: Callable[[J], Any], jobs: Sequence[J]) -> Iterator[tuple[J, Any]]: ...

    def close(self) -> None: ...


def make_executor(name: str, workers: int | None = None, *, gpus: float = 0) -> Executor:
    """`workers` is the number of processes (default: one per usable CPU); `gpus` is what Ray gives to each job."""
    if name == "local":
        return Local()
    if name == "processes":
        mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return Processes(workers or mine or 1)
    if name == "ray":
        return Ray(workers, gpus)
    raise UnknownNameError("executor", name, get_args(ExecutorName))


class Local:
    """One job after another, in this process."""

    here = True
    workers = 1

    def map(self, function: Callable[[J], Any], jobs: Sequence[J]) -> Iterator[tuple[J, Any]]:
        for job in jobs:
            try:
                result = function(job)
            except Exception as error:
                result = error
            yield job, result

    def close(self) -> None:
        pass


class Processes:
    """New processes on this machine, each with its own model. One that dies is replaced, and its job is run again.

    A death breaks the whole pool without saying which job caused it: all running jobs become suspects, which are run
    again one at a time, so that none is given up for what another did.
    """

    here = False

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.pool = self._open()

    def _open(self) -> ProcessPoolExecutor:
        from multiprocessing import get_context

        return ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"), initializer=_become_worker)

    def map(self, function: Callable[[J], Any], jobs: Sequence[J]) -> Iterator[tuple[J, Any]]:
        waiting = list(reversed(jobs))
        suspects: list[tuple[J, int]] = []  # with the deaths of each
        running: dict[Future[Any], tuple[J, int]] = {}
        while waiting or suspects or running:
            if suspects and not running:
                job, deaths = suspects.pop()
                running[self._submit(function, job)] = job, deaths
            while waiting and not suspects and len(running) < self.workers and not any(d for _, d in running.values()):
                job = waiting.pop()
                running[self._submit(function, job)] = job, 0
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job, deaths = running.pop(future)
                error = future.exception()
                if not isinstance(error, BrokenProcessPool):
                    yield job, future.result() if error is None else error
                elif deaths + 1 < ATTEMPTS:
                    suspects.append((job, deaths + 1))
                else:
                    yield job, ProcessDiedError()

    def _submit(self, function: Callable[[J], Any], job: J) -> Future[Any]:
        try:
            return self.pool.submit(function, job)
        except BrokenProcessPool:
            self.pool = self._open()
            return self.pool.submit(function, job)

    def close(self) -> None:
        """Stop at once: running jobs are lost; what is in the folder stays."""
        processes = list((self.pool._processes or {}).values())
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _become_worker() -> None:
    """Leave Ctrl-C to the parent process, and end when the parent ends, even if it is killed."""
    import signal
    import threading
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


class Ray:
    """Tasks on a Ray cluster: that of RAY_ADDRESS, or one started here. A job whose process dies is run again."""

    here = False

    def __init__(self, workers: int | None, gpus: float) -> None:
        # Under `uv run`, Ray would make the environment again for each worker, from a copy of the current folder, and
        # try for ever where that fails.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
        except ImportError:
            raise TagxaiError("--executor ray needs Ray: pip install 'tagxai[ray]'") from None
        self.ray, self.gpus, self.started = ray, gpus, not ray.is_initialized()
        if self.started:
            own = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
            try:
                ray.init(log_to_driver=False, logging_level="ERROR", **own)  # type: ignore[arg-type]
            except Exception as error:  # of many kinds, and plain ones where a node does not start in time
                where = os.environ.get("RAY_ADDRESS", "this machine")
                raise TagxaiError(" ".join(f"Ray did not start on {where}: {error}".split())) from error
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def map(self, function: Callable[[J], Any], jobs: Sequence[J]) -> Iterator[tuple[J, Any]]:
        task = self.ray.remote(function).options(num_cpus=1, num_gpus=self.gpus, max_retries=ATTEMPTS - 1)
        running = {task.remote(job): job for job in jobs}
        while running:
            (reference,), _ = self.ray.wait(list(running), num_returns=1)
            job = running.pop(reference)
            try:
                yield job, self.ray.get(reference)
            except self.ray.exceptions.RayTaskError as error:
                yield job, error.cause
            except (self.ray.exceptions.WorkerCrashedError, self.ray.exceptions.OutOfMemoryError):
                yield job, ProcessDiedError()
            except self.ray.exceptions.RayError as error:
                yield job, TagxaiError(" ".join(f"Ray could not run it: {error}".split()))

    def close(self) -> None:
        if self.started:
            self.ray.shutdown()
