"""Where a benchmark's prompts come from: a list of them, a file, or the laboratory's grammar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from tagxai.contract.foreign import call_foreign
from tagxai.contract.prompt_set import PromptSet
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.registering.registry import Entry, registry
from tagxai.text.lists import is_list, read_column, read_prompts

LABORATORY = "laboratory"
MOST_PROMPTS = 100_000
KEYS = ("file", "column", "limit", "one_per", "exclude")


def find_prompts(given: Any, folder: Path = Path()) -> list[str]:
    """The distinct prompts that `given` names, in order: `laboratory:test:60`, a file, a list, or a table of `KEYS`.

    `one_per` names a column of the file: of rows with equal values in it, the first with a prompt is taken. `exclude`
    names another file: rows whose value of `one_per` is in it are left out, so that settings chosen on one set of clips
    are not measured on it.
    """
    if isinstance(given, str) and given.partition(":")[0] == LABORATORY:
        prompts = _laboratory(given)
    elif isinstance(given, str) and is_list(given):
        prompts = _file({"file": given}, folder)
    elif isinstance(given, str) and (found := registry().prompt_sets.get(given.partition(":")[0])) is not None:
        prompts = _from_plugin(found, given.partition(":")[2])
    elif isinstance(given, Mapping):
        prompts = _file(given, folder)
    elif isinstance(given, (list, tuple)) and all(isinstance(prompt, str) for prompt in given):
        prompts = list(given)
    else:
        sets = [f"{name}:..." for name in registry().prompt_sets]
        raise TagxaiError(
            f"prompts takes a list of texts, a .csv, .tsv or .txt file, {', '.join(['laboratory:test:60', *sets])}, "
            f"not {given!r}"
        )
    chosen = list(dict.fromkeys(prompt.strip() for prompt in prompts if prompt.strip()))
    if not chosen:
        raise TagxaiError(f"{given!r} holds no prompt")
    return chosen


def _from_plugin(entry: Entry[PromptSet], argument: str) -> list[str]:
    prompts = call_foreign(f"prompt set {entry.name!r}", lambda: list(entry.cls().prompts(argument)))
    wrong = next((prompt for prompt in prompts if not isinstance(prompt, str)), None)
    if wrong is not None:
        raise TagxaiError(f"prompt set {entry.name!r} of {entry.origin} gives {wrong!r:.60}; expected texts")
    return prompts


def _laboratory(text: str) -> list[str]:
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
    return [prompt.text for prompt in prompts(split, int(count))]  # type: ignore[arg-type]


def _file(table: Mapping[str, Any], folder: Path) -> list[str]:
    for name in table:
        if name not in KEYS:
            raise UnknownNameError("key of prompts", name, KEYS)
    if not isinstance(table.get("file"), str):
        raise TagxaiError(f"a table of prompts needs a file, not {dict(table)!r}")
    if table["file"].partition(":")[0] == LABORATORY:
        raise TagxaiError(
            f"{table['file']!r} is not a file: the laboratory's prompts have no columns, and a limit of their own"
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
    prompts = [prompt.text for prompt in read_prompts(path, table.get("column"))]
    if key is not None:
        seen = {value.text for value in read_column(folder / exclude, key)} if exclude is not None else set()
        kept = []
        for prompt, value in zip(prompts, read_column(path, key), strict=True):
            if prompt and value.text not in seen:
                seen.add(value.text)
                kept.append(prompt)
        prompts = kept
    return list(dict.fromkeys(filter(None, prompts)))[:limit]
