"""Where a benchmark's prompts come from: a list of them, a file, or the laboratory's grammar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from tagxai.contract.foreign import call_foreign
from tagxai.contract.prompt_set import PromptSet
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.registering.registry import Entry, registry
from tagxai.text.lists import DELIMITERS, find_column, is_list, read_column, read_prompts, read_table

LABORATORY = "laboratory"
MOST_PROMPTS = 100_000
KEYS = ("file", "column", "limit", "one_per", "exclude")


class PlannedPrompt(NamedTuple):
    """A prompt, and what the other columns of its file say about it."""

    text: str
    columns: Mapping[str, str] = {}


def find_prompts(given: Any, folder: Path = Path()) -> list[str]:
    """The texts of `planned_prompts`."""
    return [prompt.text for prompt in planned_prompts(given, folder)]


def planned_prompts(given: Any, folder: Path = Path()) -> list[PlannedPrompt]:
    """The distinct prompts that `given` names, in order: `laboratory:test:60`, a file, a list, or a table of `KEYS`.

    A list holds texts, or tables with a `prompt` and columns of one's own. `one_per` names a column of the file: of
    rows with equal values in it, the first with a prompt is taken. `exclude` names another file: rows whose value of
    `one_per` is in it are left out, so that settings chosen on one set of clips are not measured on it.
    """
    if isinstance(given, str) and given.partition(":")[0] == LABORATORY:
        prompts = _laboratory(given)
    elif isinstance(given, str) and is_list(given):
        prompts = _file({"file": given}, folder)
    elif isinstance(given, str) and (found := registry().prompt_sets.get(given.partition(":")[0])) is not None:
        prompts = [PlannedPrompt(text) for text in _from_plugin(found, given.partition(":")[2])]
    elif isinstance(given, Mapping):
        prompts = _file(given, folder)
    elif isinstance(given, (list, tuple)) and all(isinstance(each, (str, Mapping)) for each in given):
        prompts = [PlannedPrompt(each) if isinstance(each, str) else _table(each) for each in given]
    else:
        sets = [f"{name}:..." for name in registry().prompt_sets]
        raise TagxaiError(
            f"prompts takes a list of texts, a .csv, .tsv or .txt file, {', '.join(['laboratory:test:60', *sets])}, "
            f"not {given!r}"
        )
    chosen = _distinct(prompts)
    if not chosen:
        raise TagxaiError(f"{given!r} holds no prompt")
    return chosen


def _distinct(prompts: Iterable[PlannedPrompt]) -> list[PlannedPrompt]:
    """Each text once, with the columns of its first row; no empty ones."""
    chosen: dict[str, PlannedPrompt] = {}
    for each in prompts:
        if text := each.text.strip():
            chosen.setdefault(text, PlannedPrompt(text, each.columns))
    return list(chosen.values())


def columns_of(prompts: Sequence[PlannedPrompt]) -> dict[str, dict[str, str]]:
    """The columns by name, each with its value for every prompt; empty where a prompt has none.

    >>> columns_of([PlannedPrompt("rain falls", {"kind": "weather"}), PlannedPrompt("a dog barks")])
    {'kind': {'rain falls': 'weather', 'a dog barks': ''}}
    """
    names = dict.fromkeys(name for prompt in prompts for name in prompt.columns)
    return {name: {prompt.text: prompt.columns.get(name, "") for prompt in prompts} for name in names}


def _table(given: Mapping[str, Any]) -> PlannedPrompt:
    if not isinstance(given.get("prompt"), str) or not all(isinstance(value, str) for value in given.values()):
        raise TagxaiError(f"a table of a prompt needs a text, such as {{prompt = 'rain falls'}}, not {dict(given)!r}")
    return PlannedPrompt(given["prompt"], {name: value for name, value in given.items() if name != "prompt"})


def _from_plugin(entry: Entry[PromptSet], argument: str) -> list[str]:
    prompts = call_foreign(f"prompt set {entry.name!r}", lambda: list(entry.cls().prompts(argument)))
    wrong = next((prompt for prompt in prompts if not isinstance(prompt, str)), None)
    if wrong is not None:
        raise TagxaiError(f"prompt set {entry.name!r} of {entry.origin} gives {wrong!r:.60}; expected texts")
    return prompts


def _laboratory(text: str) -> list[PlannedPrompt]:
    """Prompts of the grammar, each with its form and whether an event is denied."""
    from tagxai.laboratory.language.streams import prompts
    from tagxai.laboratory.sounds.splits import Split

    _, _, rest = text.partition(":")
    split, _, count = rest.partition(":")
    if split not in get_args(Split):
        raise UnknownNameError("split of the laboratory", split, get_args(Split))
    if not count.isdecimal() or not 1 <= int(count) <= MOST_PROMPTS:
        raise TagxaiError(
            f"prompts of the laboratory are {LABORATORY}:SPLIT:NUMBER, such as laboratory:test:60, of at most "
            f"{MOST_PROMPTS}, not {text!r}"
        )
    return [
        PlannedPrompt(each.text, {"form": each.form, "denied": "no" if each.scene.absent is None else "yes"})
        for each in prompts(split, int(count))  # type: ignore[arg-type]
    ]


def _file(table: Mapping[str, Any], folder: Path) -> list[PlannedPrompt]:
    for name in table:
        if name not in KEYS:
            raise UnknownNameError("key of prompts", name, KEYS)
    if not isinstance(table.get("file"), str):
        raise TagxaiError(f"a table of prompts needs a file, not {dict(table)!r}")
    if table["file"].partition(":")[0] == LABORATORY:
        raise TagxaiError(
            f"{table['file']!r} is not a file: the laboratory's prompts have columns and a limit of their own"
        )
    for name in ("column", "one_per", "exclude"):
        if table.get(name) is not None and not isinstance(table[name], str):
            raise TagxaiError(f"{name} of prompts takes text, not {table[name]!r}")
    limit, key, exclude = (table.get(each) for each in ("limit", "one_per", "exclude"))
    if limit is not None and (type(limit) is not int or limit < 1):
        raise TagxaiError(f"limit of prompts takes a whole number from 1, not {limit!r}")
    if exclude is not None and key is None:
        raise TagxaiError("exclude of prompts needs one_per, the column that both files have")
    path = folder / table["file"]
    prompts = _rows(path, table.get("column"))
    if key is not None:
        seen = {value.text for value in read_column(folder / exclude, key)} if exclude is not None else set()
        kept = []
        for prompt, value in zip(prompts, read_column(path, key), strict=True):
            if prompt.text and value.text not in seen:
                seen.add(value.text)
                kept.append(prompt)
        prompts = kept
    return _distinct(prompts)[:limit]


def _free(name: str) -> str:
    """A column's name beside the prompt itself."""
    return f"{name} (column)" if name == "prompt" else name


def _rows(path: Path, column: str | None) -> list[PlannedPrompt]:
    """The prompts of a file, empty ones too, each with its other columns."""
    texts = [prompt.text for prompt in read_prompts(path, column)]
    if path.suffix.lower() not in DELIMITERS:
        return [PlannedPrompt(text) for text in texts]
    header, rows = read_table(path)
    place = find_column(path, header, column)
    others = [number for number, name in enumerate(header) if number != place and name]
    return [
        PlannedPrompt(text, {_free(header[number]): row.fields[number] for number in others})
        for text, row in zip(texts, rows, strict=True)
    ]
