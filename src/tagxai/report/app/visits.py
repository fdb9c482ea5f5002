"""Visits: one for each open window, with its history of takes, its jobs, and whoever listens for news of them."""

from __future__ import annotations

import secrets
from asyncio import AbstractEventLoop, Event
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from tagxai.errors import TagxaiError
from tagxai.report.app import bounds
from tagxai.report.app.jobs import FullError, Job, Queue
from tagxai.report.app.takes import Take
from tagxai.report.app.wishes import Wish


class GoneError(TagxaiError):
    """A visit, take or job that is not, or no longer, known."""


class Visit:
    """One window's takes and jobs."""

    def __init__(self, queue: Queue) -> None:
        self.id = secrets.token_urlsafe(18)
        self._queue, self._lock = queue, Lock()
        self._takes: dict[str, tuple[int, Take]] = {}
        self._jobs: list[Job] = []
        self._made = 0
        self._listeners: list[tuple[AbstractEventLoop, Event]] = []

    def ask(self, wish: Wish) -> Job:
        """Raises FullError."""
        job = Job(wish, self.id, self._changed)
        with self._lock:
            self._jobs = [*self._jobs, job]
        try:
            self._queue.add(job)
        except FullError:
            with self._lock:
                self._jobs = [each for each in self._jobs if each is not job]
            raise
        return job

    def cancel(self, id: str) -> None:
        """Cancel a job, or dismiss one that has ended. Raises GoneError."""
        job = next((job for job in self._jobs if job.id == id), None)
        if job is None:
            raise GoneError("that job is not known any more")
        if job.is_open:
            self._queue.cancel(job)
        with self._lock:
            self._jobs = [each for each in self._jobs if each is not job]
        self._tell()

    def take(self, id: str) -> tuple[int, Take]:
        """A take and its number. Raises GoneError."""
        found = self._takes.get(id)
        if found is None:
            raise GoneError("that take is not known any more")
        return found

    def news(self) -> dict[str, Any]:
        """All that the rail shows."""
        with self._lock:
            takes, jobs = list(self._takes.values()), list(self._jobs)
        return {
            "takes": [take.summary(number) for number, take in reversed(takes)],
            "jobs": [job.summary(self._queue.place(job)) for job in jobs],
        }

    @property
    def is_listened_to(self) -> bool:
        return bool(self._listeners)

    @property
    def is_busy(self) -> bool:
        return any(job.is_open for job in self._jobs)

    @contextmanager
    def listening(self, loop: AbstractEventLoop) -> Iterator[Event]:
        """An event of the loop that is set whenever there is news."""
        mine = loop, Event()
        self._listeners = [*self._listeners, mine]
        try:
            yield mine[1]
        finally:
            self._listeners = [each for each in self._listeners if each is not mine]

    def leave(self) -> None:
        """Cancel what nobody waits for."""
        for job in self._jobs:
            if job.is_open:
                self._queue.cancel(job)

    def _changed(self, job: Job) -> None:
        """A job has gone on: its take joins the history, and of the ended ones only the last failures are kept."""
        with self._lock:
            if job.take is not None and job in self._jobs:
                self._made += 1
                self._takes[job.take.id] = self._made, job.take
                self._forget_oldest(job.take)
            ended = [each for each in self._jobs if each.state == "failed"][-bounds.ENDED :]
            self._jobs = [each for each in self._jobs if each.is_open or each in ended]
        self._tell()

    def _forget_oldest(self, newest: Take) -> None:
        """Beyond the bound; but what is being edited stays."""
        for old in [id for id in self._takes if id != newest.origin][: max(0, len(self._takes) - bounds.TAKES)]:
            del self._takes[old]

    def _tell(self) -> None:
        for loop, event in self._listeners:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


class Visits:
    """All visits, by their ids, which cannot be guessed."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self._all = queue, dict[str, Visit]()

    def open(self) -> Visit:
        """A new visit, in the place of one that nobody listens to where there are too many. Raises FullError."""
        if len(self._all) >= bounds.VISITS:
            left = next((visit for visit in self._all.values() if not visit.is_listened_to), None)
            if left is None:
                raise FullError(f"{bounds.VISITS} windows are open already; close one of them, or try again later")
            left.leave()
            del self._all[left.id]
        visit = Visit(self._queue)
        self._all[visit.id] = visit
        return visit

    def find(self, id: str) -> Visit:
        """Raises GoneError."""
        if id not in self._all:
            raise GoneError("this visit is not known any more; load the page again")
        return self._all[id]
