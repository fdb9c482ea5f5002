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


class Row(NamedTuple):
    """The fields of a row of a table, as many as its header has, and the line that the row starts on."""

    fields: list[str]
    line: int


def read_column(path: Path, name: str | None = None) -> list[Prompt]:
    """One column of a table, and the line of each row; without a name, the column of the prompts."""
    header, rows = read_table(path)
    if not header:
        return []
    column = find_column(path, header, name)
    return [Prompt(row.fields[column], row.line) for row in rows]


def read_table(path: Path) -> tuple[list[str], list[Row]]:
    """The header of a CSV or TSV file and its rows, without empty lines. Raises TagxaiError naming a bad line."""
    text, delimiter = _read_text(path), DELIMITERS.get(path.suffix.lower(), ",")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[Row] = []
    before = 0
    try:
        for row in lines:
            first, before = before + 1, lines.line_num  # a quoted field may span lines: the row starts after the last
            fields = [field.strip() for field in row]
            if header and fields:
                rows.append(Row((fields + [""] * len(header))[: len(header)], first))
            header = header or fields
    except csv.Error as error:
        raise TagxaiError(f"{path}, line {lines.line_num}: {error}") from None
    return header, rows


def find_column(path: Path, header: Sequence[str], name: str | None = None) -> int:
    """The place of a column by its name in any case; without a name, of the prompts. Raises TagxaiError."""
    wanted = COLUMNS if name is None else (name.lower(),)
    names = [each.lower() for each in header]
    for name in wanted:
        if name in names:
            return names.index(name)
    missing = " or ".join(map(repr, wanted))
    raise TagxaiError(f"{path} has no column {missing}; its first line has: {', '.join(map(repr, header))}")
