"""The one thread that uses a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Thread

from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import error_sentence
from tagxai.report.app.jobs import Cancelled, Job, Queue
from tagxai.report.app.making import make_takes
from tagxai.report.app.models import Model
from tagxai.report.app.takes import Take

_log = logging.getLogger(__name__)


class Worker(Thread):
    """Runs the jobs for `model`, a batch at a time, until the queue is closed."""

    def __init__(self, model: Model, queue: Queue) -> None:
        super().__init__(name=f"tagxai app: {model.label}", daemon=True)
        self._model, self._queue = model, queue

    def run(self) -> None:
        while jobs := self._queue.next_batch(self._model):
            try:
                self._work(jobs)
            except Cancelled:
                pass
            except Exception as error:  # whatever happens, the next batch is run
                _log.exception("a batch of the app failed")
                for job in jobs:
                    job.end("failed", error=error_sentence(error))

    def _work(self, jobs: Sequence[Job]) -> None:
        def stage(doing: str) -> OnProgress:
            def report(progress: Progress | None) -> None:
                if not any(job.is_open for job in jobs):
                    raise Cancelled
                for job in jobs:
                    if job.is_open:
                        job.report(doing, progress)

            report(None)
            return report

        def on_take(number: int, found: Take | str) -> None:
            if isinstance(found, str):
                jobs[number].end("failed", error=found)
            else:
                jobs[number].end("done", found)

        make_takes(self._model, [job.wish for job in jobs], stage, on_take)
