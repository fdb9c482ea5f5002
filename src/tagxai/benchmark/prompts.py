"""Where a benchmark's prompts come from: a list of them, a file, or the laboratory's grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from tagxai.benchmark.prompt_file import PlannedPrompt, distinct, read_file
from tagxai.contract.foreign import call_foreign
from tagxai.contract.prompt_set import PromptSet
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.registering.registry import Entry, registry
from tagxai.text.lists import is_list

LABORATORY = "laboratory"
MOST_PROMPTS = 100_000


def find_prompts(given: Any, folder: Path = Path()) -> list[str]:
    """The texts of `planned_prompts`."""
    return [prompt.text for prompt in planned_prompts(given, folder)]


def planned_prompts(given: Any, folder: Path = Path()) -> list[PlannedPrompt]:
    """The distinct prompts that `given` names, in order: `laboratory:test:60`, a file, a list, or a table.

    A list holds texts, or tables with a `prompt` and columns of one's own. A table names a `file`, and chooses:

    - `column`: the column of the prompts, or several, which take turns from row to row; `changed`: that of a changed
      caption beside it, which is called "changed" from then on;
    - `where`: columns, and the value (or values) that a row must have in each;
    - `one_per`: a column; of rows with equal values in it, the first with a prompt is taken;
    - `exclude`: another file; rows whose value of `one_per` is in it are left out, so that settings chosen on one set
      of clips are not measured on it;
    - `limit`: at most so many prompts.
    """
    if isinstance(given, str) and given.partition(":")[0] == LABORATORY:
        prompts = _laboratory(given)
    elif isinstance(given, str) and is_list(given):
        prompts = read_file({"file": given}, folder)
    elif isinstance(given, str) and (found := registry().prompt_sets.get(given.partition(":")[0])) is not None:
        prompts = [PlannedPrompt(text) for text in _from_plugin(found, given.partition(":")[2])]
    elif isinstance(given, Mapping):
        prompts = _table_of_file(given, folder)
    elif isinstance(given, (list, tuple)) and all(isinstance(each, (str, Mapping)) for each in given):
        prompts = [PlannedPrompt(each) if isinstance(each, str) else _table(each) for each in given]
    else:
        sets = [f"{name}:..." for name in registry().prompt_sets]
        raise TagxaiError(
            f"prompts takes a list of texts, a .csv, .tsv or .txt file, {', '.join(['laboratory:test:60', *sets])}, "
            f"not {given!r}"
        )
    chosen = distinct(prompts)
    if not chosen:
        raise TagxaiError(f"{given!r} holds no prompt")
    return chosen


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


def _table_of_file(given: Mapping[str, Any], folder: Path) -> list[PlannedPrompt]:
    file = given.get("file")
    if isinstance(file, str) and file.partition(":")[0] == LABORATORY:
        raise TagxaiError(f"{file!r} is not a file: the laboratory's prompts have columns and a limit of their own")
    return read_file(given, folder)


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
