"""Jobs of all visitors in one line: who is next, what may run together, what is cancelled."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition
from typing import Any, Literal

from tagxai.contract.values import Progress
from tagxai.errors import TagxaiError
from tagxai.report.app import bounds
from tagxai.report.app.models import Model
from tagxai.report.app.takes import Take
from tagxai.report.app.wishes import Gains, Wish

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Cancelled(Exception):
    """Stops the work of a batch that nobody waits for any more."""


class FullError(TagxaiError):
    """No place is left in the queue."""


@dataclass(eq=False)
class Job:
    """A wish on its way to a take. `on_change` is called after every change, from any thread."""

    wish: Wish
    visit: str
    on_change: Callable[[Job], None]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    state: State = "waiting"
    doing: str = ""
    progress: float = 0.0
    take: Take | None = None
    error: str = ""

    @property
    def is_edit(self) -> bool:
        return isinstance(self.wish, Gains)

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "running")

    def report(self, doing: str, progress: Progress | None = None) -> None:
        share = progress.done / progress.total if progress and progress.total else 0.0
        changed = doing != self.doing or abs(share - self.progress) >= 0.02
        self.doing, self.progress = doing, share
        if changed:
            self.on_change(self)

    def end(self, state: State, take: Take | None = None, error: str = "") -> None:
        """The first end counts: a take that comes after its job was cancelled is dropped."""
        if self.is_open:
            self.state, self.take, self.error = state, take, error
            self.on_change(self)

    def summary(self, place: int) -> dict[str, Any]:
        """What the rail shows of it."""
        return {
            "id": self.id,
            "kind": "edit" if self.is_edit else "explain",
            "state": self.state,
            "place": place,
            "doing": self.doing,
            "progress": round(self.progress, 2),
            "error": self.error,
        }


class Queue:
    """Open jobs in their order. A worker takes a batch for its model; edits come first: somebody waits to hear them."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._jobs: list[Job] = []
        self._closed = False

    def add(self, job: Job) -> None:
        """Cancels the visitor's older edit. Raises FullError."""
        with self._changed:
            older = [each for each in self._open() if each.is_edit and job.is_edit and each.visit == job.visit]
            if len(self._open()) - len(older) >= bounds.QUEUE:
                raise FullError(f"{bounds.QUEUE} jobs are waiting already; try again when some of them are done")
            for each in older:
                each.end("cancelled")
            self._jobs = [*self._open(), job]
            self._changed.notify_all()
        self._tell()

    def cancel(self, job: Job) -> None:
        with self._changed:
            job.end("cancelled")
        self._tell()

    def next_batch(self, model: Model) -> list[Job]:
        """Waits for work. Empty once the queue is closed."""
        with self._changed:
            while not self._closed:
                waiting = [job for job in self._jobs if job.state == "waiting" and job.wish.model is model]
                batch = sorted(waiting, key=lambda job: not job.is_edit)[: bounds.BATCH]
                for job in batch:
                    job.state = "running"
                if batch:
                    return batch
                self._changed.wait()
        return []

    def place(self, job: Job) -> int:
        """How many jobs for the same model are before it; 0 for one that runs."""
        if job.state != "waiting":
            return 0
        with self._changed:
            before = [each for each in self._open() if each.wish.model is job.wish.model]
            return before.index(job) if job in before else 0

    def close(self) -> None:
        """Cancel everything and let the workers go home."""
        with self._changed:
            self._closed = True
            for job in self._open():
                job.end("cancelled")
            self._changed.notify_all()

    def _open(self) -> list[Job]:
        return [job for job in self._jobs if job.is_open]

    def _tell(self) -> None:
        """Places have changed."""
        for job in list(self._jobs):
            job.on_change(job)
