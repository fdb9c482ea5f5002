"""A benchmark's prompts in a file: which of its columns, and which of its rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.text.lists import DELIMITERS, find_column, read_column, read_prompts, read_table

KEYS = ("file", "column", "changed", "where", "one_per", "exclude", "limit")
CHANGED = "changed"
"""The column that holds a changed caption beside the prompt: metrics with a setting of this name read it."""


class PlannedPrompt(NamedTuple):
    """A prompt, and what the other columns of its file say about it."""

    text: str
    columns: Mapping[str, str] = {}


def distinct(prompts: Iterable[PlannedPrompt]) -> list[PlannedPrompt]:
    """Each text once, with the columns of its first row; no empty ones. Line breaks become spaces."""
    chosen: dict[str, PlannedPrompt] = {}
    for each in prompts:
        if text := " ".join(each.text.split()):
            chosen.setdefault(text, PlannedPrompt(text, each.columns))
    return list(chosen.values())


def read_file(table: Mapping[str, Any], folder: Path) -> list[PlannedPrompt]:
    """The distinct prompts of the file that a table of `KEYS` describes, in the order of its rows.

    Warns of rows that repeat a prompt. Raises TagxaiError for a key, a value, a file or a column that does not fit, and
    where no row is chosen by `where`.
    """
    _check(table)
    path, key = folder / table["file"], table.get("one_per")
    prompts = _rows(path, table.get("column"), table.get("changed"))
    kept = [True] * len(prompts)
    for name, wanted in (table.get("where") or {}).items():
        kept = [mine and also for mine, also in zip(kept, _matching(path, name, wanted), strict=True)]
    if not any(kept):
        raise TagxaiError(f"no row of {path} has all of {dict(table['where'])!r}, which prompts asks for in where")
    if key is not None:
        seen = {value.text for value in read_column(folder / table["exclude"], key)} if table.get("exclude") else set()
        for number, value in enumerate(read_column(path, key)):
            if kept[number] and prompts[number].text:
                kept[number] = value.text not in seen
                seen.add(value.text)
    chosen = [prompt for prompt, mine in zip(prompts, kept, strict=True) if mine and prompt.text.strip()]
    found = distinct(chosen)
    if repeated := len(chosen) - len(found):
        warnings.warn(
            f"{repeated} of {len(chosen)} prompts of {path} repeat an earlier row's: a prompt is run once, with "
            "the other columns of its first row",
            stacklevel=2,
        )
    return found[: table.get("limit")]


def _check(table: Mapping[str, Any]) -> None:
    for name in table:
        if name not in KEYS:
            raise UnknownNameError("key of prompts", name, KEYS)
    if not isinstance(table.get("file"), str):
        raise TagxaiError(f"a table of prompts needs a file, not {dict(table)!r}")
    for name in ("column", "changed", "one_per", "exclude"):
        value = table.get(name)
        several = name == "column" and isinstance(value, list) and value and all(isinstance(v, str) for v in value)
        if value is not None and not isinstance(value, str) and not several:
            raise TagxaiError(f"{name} of prompts takes text, not {value!r}")
    limit, where = table.get("limit"), table.get("where")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise TagxaiError(f"limit of prompts takes a whole number from 1, not {limit!r}")
    if where is not None and not isinstance(where, Mapping):
        raise TagxaiError(
            f"where of prompts takes a table of columns and values, such as {{kind = 'rain'}}, not {where!r}"
        )
    if table.get("exclude") is not None and table.get("one_per") is None:
        raise TagxaiError("exclude of prompts needs one_per, the column that both files have")


def _matching(path: Path, name: str, wanted: Any) -> list[bool]:
    """Whether each row has the value, or one of several, in the column `name`, in any case: true finds "True"."""
    values = wanted if isinstance(wanted, list) else [wanted]
    if not values or not all(isinstance(value, (str, int, float)) for value in values):
        raise TagxaiError(f"where of prompts takes text, a number or a list of these for {name!r}, not {wanted!r}")
    texts = {str(value).casefold() for value in values}
    column = [value.text for value in read_column(path, name)]
    if not texts.intersection(map(str.casefold, column)):
        found = ", ".join(map(repr, list(dict.fromkeys(column))[:5]))
        raise TagxaiError(f"no row of {path} has {wanted!r} in the column {name!r}; its first values are {found}")
    return [value.casefold() in texts for value in column]


def _rows(path: Path, column: str | Sequence[str] | None, changed: str | None) -> list[PlannedPrompt]:
    """A prompt for each row, empty ones too, with its other columns. Several columns take turns from row to row."""
    names = [column] if column is None or isinstance(column, str) else list(column)
    texts = [read_prompts(path, name) for name in names]
    prompts = [texts[row % len(texts)][row].text for row in range(len(texts[0]))]
    if path.suffix.lower() not in DELIMITERS:
        return [PlannedPrompt(text) for text in prompts]
    header, rows = read_table(path)
    own = {find_column(path, header, name) for name in names}
    renamed = {find_column(path, header, changed): CHANGED} if changed is not None else {}
    taken = {"prompt", *renamed.values()}
    labels = {
        place: renamed.get(place, f"{name} (column)" if name in taken else name)
        for place, name in enumerate(header)
        if name and place not in own
    }
    return [
        PlannedPrompt(text, {label: row.fields[place] for place, label in labels.items()})
        for text, row in zip(prompts, rows, strict=True)
    ]
