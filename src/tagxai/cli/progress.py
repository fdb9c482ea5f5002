"""A progress bar on stderr, fed by the library's callback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tagxai.types import OnProgress, Progress

console = Console(stderr=True)


@contextmanager
def bar(title: str) -> Iterator[OnProgress]:
    """A bar that shows what is reported to the callback it gives; it is gone when the block ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as shown:
        task = shown.add_task(title, total=None)

        def on_progress(progress: Progress) -> None:
            shown.update(task, completed=progress.done, total=progress.total, description=progress.message)

        yield on_progress
