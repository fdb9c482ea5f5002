"""Lists of prompts: CSV with a column `prompt` or `caption` (as in AudioCaps), TSV, or text with one on each line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tagxai.errors import TagxaiError

COLUMNS = ("prompt", "caption")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*DELIMITERS, ".txt")


class Prompt(NamedTuple):
    """A prompt and the line of its file that it is on."""

    text: str
    line: int


def is_list(argument: str) -> bool:
    """Whether an argument names a file with prompts, not a prompt."""
    return argument.lower().endswith(SUFFIXES)


def read_prompts(path: Path, column: str | None = None) -> list[Prompt]:
    """The prompts of a file, empty ones too; in a table, those of `column`, or of the column prompt or caption.

    Raises TagxaiError naming the line that cannot be read.
    """
    if path.suffix.lower() in DELIMITERS:
        prompts = read_column(path, column)
    elif column is None:
        prompts = _read_lines(_read_text(path))
    else:
        raise TagxaiError(f"{path} has no column {column!r}; columns are for {' and '.join(DELIMITERS)}")
    if not prompts:
        raise TagxaiError(f"{path} holds no prompts")
    return prompts


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise TagxaiError(f"file {str(path)!r} does not exist")
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TagxaiError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def _read_lines(text: str) -> list[Prompt]:
    lines = re.split(r"\r\n|\n|\r", text.rstrip())  # `splitlines` also splits at U+2028 and form feeds
    return [Prompt(line.strip(), number) for number, line in enumerate(lines, 1)] if text.strip() else []


def read_column(path: Path, name: str | None = None) -> list[Prompt]:
    """One column of a table, and the line of each row; without a name, the column of the prompts."""
    text, delimiter = _read_text(path), DELIMITERS.get(path.suffix.lower(), ",")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    values: list[Prompt] = []
    column = None
    before = 0
    try:
        for row in lines:
            first, before = before + 1, lines.line_num  # a quoted field may span lines: the row starts after the last
            if not row:
                continue
            if column is None:
                column = _find_column(path, row, COLUMNS if name is None else (name.lower(),))
            else:
                values.append(Prompt(row[column].strip() if column < len(row) else "", first))
    except csv.Error as error:
        raise TagxaiError(f"{path}, line {lines.line_num}: {error}") from None
    return values


def _find_column(path: Path, header: list[str], wanted: Sequence[str]) -> int:
    names = [name.strip().lower() for name in header]
    for name in wanted:
        if name in names:
            return names.index(name)
    missing = " or ".join(map(repr, wanted))
    raise TagxaiError(f"{path} has no column {missing}; its first line has: {', '.join(map(repr, header))}")
