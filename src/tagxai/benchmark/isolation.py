"""A process of its own for methods and metrics from outside: nothing that they do reaches the cells of others.

Within one process, code can change anything that later code depends on, and no check sees all of it. So each method
from outside (and each plugin's metrics) works in a process of its own, which has run nothing else, after tagxai's own
cells are done. That process has only the plugins that it needs, and writes cells into the folder like any worker. Its
parent sees each cell, knows what is under way, and ends a process that takes longer than the time limit, whatever it
swallows.
"""

from __future__ import annotations

import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from tempfile import TemporaryDirectory
from time import monotonic
from typing import IO, Any, NamedTuple

from tagxai.benchmark import cells, nursery
from tagxai.benchmark.cells import CellWriter, Job, OnCell
from tagxai.benchmark.clip_spec import ClipSpec
from tagxai.benchmark.executors import ATTEMPTS
from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.store import Store
from tagxai.errors import error_sentence
from tagxai.registering.plugins import ONLY

GRACE = 5.0
"""Seconds that a process has for stopping by itself once its time is up."""


ForeignCode = tuple[str, str]
"""Whose code from outside some cells run: a method's label and a metric's plugin, each perhaps empty."""

NO_FOREIGN_CODE: ForeignCode = ("", "")


def by_foreign_code(todo: cells.Todo) -> dict[ForeignCode, cells.Todo]:
    """The cells of a clip by the code from outside that they run."""
    found: dict[ForeignCode, list[tuple[PlanEntry, list[PlanEntry]]]] = {}
    for method, metrics in todo:
        for metric in metrics:
            foreign = (method.label if method.distribution else "", metric.distribution)
            pairs = found.setdefault(foreign, [])
            if not pairs or pairs[-1][0] is not method:
                pairs.append((method, []))
            pairs[-1][1].append(metric)
    return {foreign: tuple((method, tuple(of)) for method, of in pairs) for foreign, pairs in found.items()}


def plugins_of(todo: cells.Todo, generator: str) -> tuple[str, ...]:
    """The distributions whose code these cells need; `generator` is that of their model."""
    needed = {entry.distribution for method, metrics in todo for entry in (method, *metrics)} | {generator}
    return tuple(sorted(needed - {""}))


class Begun(NamedTuple):
    """What is under way: an explanation with the metrics that wait for it, or one metric of it."""

    clip: ClipSpec
    todo: cells.Todo
    limit: float | None


class Ended(NamedTuple):
    """How a process ended: the number of failed cells, or the sentence that ended it."""

    failed: int
    error: str = ""


def work(job: Job, on_cell: OnCell | None = None) -> int:
    """Compute a job here, or in a process of its own where it is from outside; returns how many cells failed."""
    return cells.work(job, on_cell) if job.plugins is None else _work_apart(job, on_cell)


def _work_apart(job: Job, on_cell: OnCell | None) -> int:
    failed = 0
    deaths: dict[Any, int] = {}
    while any(cells.unfinished(Store(job.folder), spec, todo) for spec, todo in job.clips):
        with _OwnProcess(job) as own:
            lost = own.run(on_cell)
        failed += own.failed
        if lost is None:
            break
        begun, why, final = lost
        key = begun and (begun.clip.key, [(method.label, [m.label for m in metrics]) for method, metrics in begun.todo])
        deaths[str(key)] = deaths.get(str(key), 0) + 1
        if not final and deaths[str(key)] < ATTEMPTS:
            continue
        if not final:
            why = f"{why}, {ATTEMPTS} times; is there enough memory?"
        for clip, todo in job.clips if begun is None else [(begun.clip, begun.todo)]:
            writer = CellWriter(Store(job.folder), clip, on_cell)
            for method, metrics in cells.unfinished(writer.store, clip, todo):
                writer.fail([(method, metrics)], f"method {method.label!r} failed: {why}")
            failed += writer.failed
        if begun is None:
            break
    return failed


class _OwnProcess:
    """One process with a job: what it says is read by a thread, so that waiting for it can end."""

    def __init__(self, job: Job) -> None:
        self.job, self.failed = job, 0
        self.said: queue.Queue[Any] = queue.Queue()
        self.process = _start(job)
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> _OwnProcess:
        return self

    def __exit__(self, *_: Any) -> None:
        with suppress(OSError):
            self.process.stdin.close()
        self._kill()
        self.process.wait()

    def _kill(self) -> None:
        with suppress(OSError):
            self.process.kill()  # with all that it has started, where there are groups of processes

    def _listen(self) -> None:
        stream: Any = self.process.stdout
        with suppress(Exception), stream:  # its end, or half a message
            while True:
                self.said.put(pickle.load(stream))
        self.said.put(None)

    def run(self, on_cell: OnCell | None) -> tuple[Begun | None, str, bool] | None:
        """None where all was done; else what was under way, how the process ended, and whether it would do so again."""
        with suppress(OSError):
            pickle.dump(self.job, self.process.stdin)
            self.process.stdin.flush()
        begun: Begun | None = None
        since = monotonic()
        while True:
            limit = begun.limit if begun is not None else None
            try:
                message = self.said.get(
                    timeout=None if limit is None else max(0.0, since + limit + GRACE - monotonic())
                )
            except queue.Empty:
                self._kill()
                return begun, f"it took longer than the limit of {limit:g} s, and did not stop", True
            if isinstance(message, Begun):
                begun, since = message, monotonic()
            elif isinstance(message, Ended):
                return None if not message.error else (None, message.error, True)
            elif message is None:
                status = self.process.wait()
                if status < 0:
                    return begun, f"its process died (signal {-status})", False
                return begun, f"its process ended with status {status} before it was done", True
            else:
                self.failed += message.error is not None
                if on_cell is not None:
                    on_cell(message)


def _start(job: Job) -> Any:
    """A process that serves a job: a copy of a prepared one where the system can copy processes."""
    if hasattr(os, "fork") and hasattr(socket, "send_fds"):
        return nursery.start(job.model, f"{__name__}:serve")
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), ONLY: ""},
    )


def main() -> None:
    """A process on its own: a job comes on stdin, and what happens goes to where stdout was."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anyone prints goes to stderr
    sys.stdout = sys.stderr
    serve(sys.stdin.buffer, out)


def serve(parent: IO[bytes], out: IO[bytes]) -> None:
    """The work of a process: a job comes from its parent, and what happens goes to `out`."""
    import warnings

    from tagxai.registering.registry import PluginWarning

    warnings.simplefilter("ignore", PluginWarning)  # the parent has reported them
    job: Job = pickle.load(parent)
    os.environ[ONLY] = ",".join(job.plugins or ())  # plugins are loaded when a name of theirs is asked for

    def end_with_parent() -> None:
        parent.read()
        os.kill(os.getpid(), 9)

    threading.Thread(target=end_with_parent, daemon=True).start()
    end = partial(os._exit, 0)  # as it is now

    def say(message: Any) -> None:
        pickle.dump(message, out)
        out.flush()

    with TemporaryDirectory() as scores:  # other processes must not read what is scored beside code from outside
        try:
            failed = cells.work(job, say, on_begin=lambda *begun: say(Begun(*begun)), scores=scores)
            say(Ended(failed))
        except BaseException as error:
            say(Ended(0, error_sentence(error)))
    end()
