"""A plan as a TOML file that makes it again: every method and metric with its label and the settings as used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tagxai.benchmark.plan import Plan
from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.errors import TagxaiError

REPEATED = ("duration", "reference", "device", "dtype", "threads", "time_limit")


def to_toml(plan: Plan, remark: str = "") -> str:
    """The text of the file. `remark` is a line at its top."""
    lines = [f"# {remark}"] if remark else []
    lines += [f"generators = {_value(plan.generators)}", f"seeds = {_value(plan.seeds)}"]
    for name in REPEATED:
        if getattr(plan, name) is not None:
            lines.append(f"{name} = {_value(getattr(plan, name))}")
    lines.append(f"sampling = {_value({k: v for k, v in plan.sampling.items() if v is not None})}")
    for key, entries in (("methods", plan.methods), ("metrics", plan.metrics)):
        lines += [f"{key} = [", *(f"    {_value(_table(each))}," for each in entries if not each.is_control), "]"]
    lines += ["prompts = [", *(f"    {_value(each)}," for each in _prompts(plan)), "]"]
    return "\n".join(lines) + "\n"


def _table(entry: PlanEntry) -> dict[str, Any]:
    """A method or metric with its label and the settings that are not its defaults."""
    table: dict[str, Any] = {"name": entry.name, "label": entry.label}
    if entry.prompts is not None:
        table["prompts"] = entry.prompts
    usual = _defaults(entry)
    table |= {key: value for key, value in entry.settings.items() if key not in usual or usual[key] != value}
    return table


def _defaults(entry: PlanEntry) -> dict[str, Any]:
    """The defaults of the class; empty where its plugin is not installed here."""
    try:
        plain = PlanEntry(entry.name, entry.label, entry.origin)
        return (plain.metric() if entry.family else plain.method()).settings()
    except TagxaiError:
        return {}


def _prompts(plan: Plan) -> Iterator[str | dict[str, str]]:
    for prompt in plan.prompts:
        own = {name: values.get(prompt, "") for name, values in plan.columns.items()}
        yield {"prompt": prompt, **own} if own else prompt


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    """A value of TOML on one line.

    >>> _value({"a b": [1, 0.5, True], "c": 'say "hi"'})
    '{ "a b" = [1, 0.5, true], c = "say \\\\"hi\\\\"" }'
    """
    if isinstance(value, Mapping):
        pairs = (f"{_key(str(key))} = {_value(each)}" for key, each in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if value is None:
        return '"none"'
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
