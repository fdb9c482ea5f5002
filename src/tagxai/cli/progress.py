"""Progress on stderr: a bar for each stage of the work, and lines in a log where nobody watches a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from tagxai.cli.display import err, note
from tagxai.contract.values import OnProgress, Progress
from tagxai.text.printable import printable

Stage = Callable[[str], OnProgress]

LOG_EVERY = 15.0
"""The least seconds between two lines of progress in a log."""
LONGEST = 64
"""Characters of a message beside a bar."""


@contextmanager
def stages(*, counted: bool = False) -> Iterator[Stage]:
    """A progress bar for each stage of the work, made by calling what this gives: `stage("generating")(progress)`.

    Work that is `counted` (in clips or cells) also shows its numbers, and logs them where stderr is not a terminal.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    console = err()
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(24)]
    columns += [*([MofNCompleteColumn()] if counted else []), TimeRemainingColumn()]
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:

        def complete_all() -> None:
            for task in bars.tasks:  # a stage may stop before its last step
                bars.update(task.id, total=task.total or 1, completed=task.total or 1)

        def stage(title: str) -> OnProgress:
            complete_all()
            task = bars.add_task(title, total=None)
            log = _Log() if counted and not console.is_terminal else None

            def report(progress: Progress) -> None:
                message = printable(progress.message)[:LONGEST]
                bars.update(task, total=progress.total, completed=progress.done, description=message)
                if log is not None:
                    log.report(progress)

            return report

        yield stage
        complete_all()


class _Log:
    """A line of progress from time to time."""

    def __init__(self) -> None:
        self.started = self.last = monotonic()

    def report(self, progress: Progress) -> None:
        now = monotonic()
        if progress.done and now - self.last > LOG_EVERY:
            self.last = now
            left = (now - self.started) / progress.done * (progress.total - progress.done)
            note(f"{progress.done}/{progress.total} {progress.message}, about {left:.0f} s left")
