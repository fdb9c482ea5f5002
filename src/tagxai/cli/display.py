"""What commands print: messages on stderr, tables on stdout."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tagxai.contract.attribution import Attribution, Score
from tagxai.explaining.comparison import passes_in_words
from tagxai.text.printable import printable
from tagxai.text.words import Unit

_quiet: ContextVar[bool] = ContextVar("tagxai_quiet", default=False)


@contextmanager
def hushed(quiet: bool = True) -> Iterator[None]:
    """Inside the block nothing is printed but errors, where `quiet` is True."""
    token = _quiet.set(quiet)
    try:
        yield
    finally:
        _quiet.reset(token)


class SafeConsole(Console):
    """A console that writes out control characters of texts, whoever wrote them; a terminal would act on them."""

    def on_broken_pipe(self) -> None:
        """Let the command end without a word, as others do before `head`; rich would raise SystemExit."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(
            segment if segment.control else Segment(_lines_printable(segment.text), segment.style) for segment in buffer
        )


def _lines_printable(text: str) -> str:
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


_kept: TextIO | None = None
"""Stdout, where it is for JSON alone."""


def keep_stdout_for_json() -> None:
    """From now on, only `print_json` prints on stdout; all else goes to stderr, to the end of the process: a thread of
    a plugin may print at any time, also from C."""
    global _kept
    sys.stdout.flush()
    _kept = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
    os.dup2(2, 1)
    sys.stdout = sys.stderr


def print_json(content: Any) -> None:
    """Print JSON on stdout, with all that a terminal would act on as JSON's own escapes."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    print(text, file=_kept, flush=True)


def out() -> Console:
    """A console on stdout. Its lines are wide where they are piped: the next program can cut them."""
    console = SafeConsole(highlight=False, quiet=_quiet.get())
    if not console.is_terminal:
        console.width = 200
    return console


def err() -> Console:
    return SafeConsole(stderr=True, highlight=False, quiet=_quiet.get())


def complain(message: str) -> None:
    """Print an error on stderr, in red."""
    SafeConsole(stderr=True, highlight=False).print(Text(printable(message), style="red"), soft_wrap=True)


def note(message: str) -> None:
    """Print a remark on stderr."""
    err().print(Text(printable(message)), soft_wrap=True)


def plain_table(*columns: str) -> Table:
    """A table without borders, which stays readable in a pipe."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def score_table(
    attribution: Attribution, units: Sequence[Unit], intervals: Sequence[tuple[float, float]], console: Console
) -> Table:
    """The units in prompt order, with a number and a bar for the whole clip and for each interval."""
    columns = {"clip": attribution.per_unit(units)}
    columns |= {seconds(interval): attribution.per_unit(units, *interval) for interval in intervals}
    return columns_table(units, columns, console, masks=columns if attribution.is_mask else ())


def seconds(interval: tuple[float, float]) -> str:
    """The title of an interval's column."""
    return f"{interval[0]:g}-{interval[1]:g} s"


def columns_table(
    units: Sequence[Unit], columns: Mapping[str, Sequence[Score]], console: Console, masks: Collection[str] = ()
) -> Table:
    """The units in prompt order, with a number and a bar for each of `columns` by its title; see `bar_table`."""
    labels = [(unit.text, unit.function or unit.special) for unit in units]
    numbers = {title: [score.score for score in column] for title, column in columns.items()}
    return bar_table("word", labels, numbers, console, masks)


def bar_table(
    heading: str,
    labels: Sequence[tuple[str, bool]],
    columns: Mapping[str, Sequence[float]],
    console: Console,
    masks: Collection[str] = (),
) -> Table:
    """A row for each (label, whether it is dim), with a number and a bar in every column.

    A full bar is the largest of its column, and 1 in columns of `masks`: what a mask hardly keeps must look so.
    """
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, header_style="bold", pad_edge=False)
    longest = max(len(label) for label, _ in labels)
    beside = max(14, *(len(title) + 7 for title in columns))
    width = max(4, min(16, (console.width - longest - 2) // len(columns) - beside))  # of a bar, beside its number
    table.add_column(heading, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
        table.add_column("")
    ascii_only = not console.encoding.lower().startswith("utf")
    for row, (label, dim) in enumerate(labels):
        style = "dim" if dim else "bold"
        cells = [Text(printable(label), style=style)]
        for name, column in columns.items():
            largest = max(1.0 if name in masks else 0.0, *map(abs, column)) or 1.0
            cells += [Text(decimals(column[row]), style=style), _bar(column[row], largest, width, ascii_only, dim)]
        table.add_row(*cells)
    return table


def decimals(value: float, digits: int = 3) -> str:
    """The value with so many digits after the point, and no sign where they are all 0."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def matrix_table(names: Sequence[str], matrix: Sequence[Sequence[float | None]]) -> Table:
    """A number for each pair of `names`."""
    table = plain_table("", *names)
    for name, row in zip(names, matrix, strict=True):
        table.add_row(Text(name, style="bold"), *("-" if value is None else decimals(value, 2) for value in row))
    return table


def cost_table(attributions: Mapping[str, Attribution], generation_seconds: float | None) -> Table:
    """What each method took, also relative to the time for generating the clip."""
    table = plain_table("method", "seconds", "of generating", "passes")
    for name, attribution in attributions.items():
        seconds = attribution.cost.seconds
        share = "-" if seconds is None or not generation_seconds else f"{seconds / generation_seconds:.2g}x"
        table.add_row(
            Text(name, style="bold"),
            "-" if seconds is None else f"{seconds:.3g}",
            share,
            passes_in_words(attribution.cost),
        )
    return table


def _bar(value: float, largest: float, width: int, ascii_only: bool, dim: bool) -> Text:
    """A bar whose length is the value relative to a full one; red where it is negative."""
    eighths = round(abs(value) / largest * width * 8)
    whole, rest = divmod(eighths, 8)
    bar = "#" * round(eighths / 8) if ascii_only else "█" * whole + (chr(0x2590 - rest) if rest else "")
    style = "red" if value < 0 else "cyan"
    return Text(bar.ljust(width), style=f"dim {style}" if dim else style)
