"""How users write the methods and metrics of a plan: "all", `name(key=value)`, or a table of TOML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.prompt_file import CHANGED
from tagxai.contract.generator import Capability
from tagxai.errors import TagxaiError
from tagxai.registering.registry import registry

ALL = "all"
EntryKind = Literal["method", "metric"]


def parse_methods(given: Any, offers: Sequence[frozenset[Capability]] = ()) -> tuple[PlanEntry, ...]:
    """The methods as written. One that none of the generators can run, by what they offer, takes its `fallback`."""
    return _parse("method", given, offers)


def parse_metrics(given: Any, *, pairs: bool = False) -> tuple[PlanEntry, ...]:
    """The metrics as written; "all" has those of pairs of captions only where the prompts are such `pairs`."""
    return _parse("metric", given, pairs=pairs)


def split(text: str) -> list[str]:
    """Names at the commas outside of brackets.

    >>> split("audiogenx(epochs=20, seed=1), shapley")
    ['audiogenx(epochs=20, seed=1)', 'shapley']
    """
    return [name.strip() for name in re.split(r",(?![^(]*\))", text)]


def _everything(kind: EntryKind, pairs: bool) -> list[str]:
    """All names but that of a control and, without `pairs`, those of metrics that need a changed caption."""
    if kind == "method":
        return [name for name in registry().methods if name != "random"]
    return [name for name in registry().metrics if pairs or not hasattr(registry().metric(name), CHANGED)]


def _parse(
    kind: EntryKind, given: Any, offers: Sequence[frozenset[Capability]] = (), *, pairs: bool = False
) -> tuple[PlanEntry, ...]:
    written = split(given) if isinstance(given, str) else given
    if not isinstance(written, (list, tuple)) or not written:
        raise TagxaiError(f"{kind}s takes a list of names, or 'all', not {given!r}")
    tables = [
        table
        for item in written
        for table in ([{"name": name} for name in _everything(kind, pairs)] if item == ALL else [_table(kind, item)])
    ]
    entries = tuple(_entry(kind, table, offers) for table in tables)
    _check_distinct(kind, entries)
    return entries


def _check_distinct(kind: EntryKind, entries: Sequence[PlanEntry]) -> None:
    """Tables could not distinguish equal labels, and entries with equal settings share their cells."""
    labels = [entry.label for entry in entries]
    repeated = next((label for label in labels if labels.count(label) > 1), None)
    if repeated is not None:
        raise TagxaiError(f"{kind}s name {repeated!r} twice; give it once, or give each its own label")
    for number, entry in enumerate(entries):
        same = next((other.label for other in entries[:number] if other.identity == entry.identity), None)
        if same is not None:
            raise TagxaiError(f"{kind}s {same!r} and {entry.label!r} have the same settings; give one of them")


def _table(kind: EntryKind, item: Any) -> dict[str, Any]:
    """`name(key=value)` or a table as a dictionary with a name, perhaps a label, and the settings."""
    if isinstance(item, Mapping):
        if not isinstance(item.get("name"), str):
            raise TagxaiError(f"a table of a {kind} needs a name, such as {{name = 'NAME'}}, not {dict(item)!r}")
        return dict(item)
    match = re.fullmatch(r"([^()=]+)(?:\((.*)\))?", item.strip()) if isinstance(item, str) else None
    if match is None:
        raise TagxaiError(f"a {kind} is NAME or NAME(key=value, ...), not {item!r}")
    table: dict[str, Any] = {"name": match[1].strip()}
    for pair in filter(None, (pair.strip() for pair in (match[2] or "").split(","))):
        key, sign, value = (side.strip() for side in pair.partition("="))
        if not (key and sign and value):
            raise TagxaiError(f"settings in {item!r} are key=value, not {pair!r}")
        table[key] = value
    return table


def _entry(kind: EntryKind, table: Mapping[str, Any], offers: Sequence[frozenset[Capability]]) -> PlanEntry:
    name, reserved = table["name"], ("name", "label", *(("prompts",) if kind == "metric" else ()))
    settings = {
        key: value if isinstance(value, Mapping) else str(value) for key, value in table.items() if key not in reserved
    }
    known = registry()
    if kind == "method":
        plain = known.method(name).configure(settings)
        if offers and all(plain.suited(own, settings) is not plain for own in offers):
            settings |= {key: str(value) for key, value in plain.fallback.items()}
    written = ", ".join(f"{key}={value}" for key, value in settings.items())
    label = str(table.get("label") or (f"{name}({written})" if written else name))
    if kind == "metric":
        metric = known.metric(name).configure(settings)
        return PlanEntry(
            name,
            label,
            known.entry("metric", name).origin,
            metric.settings(),
            tuple(sorted(metric.needs)),
            metric.family,
            metric.higher_is_better,
            _first_prompts(name, table),
        )
    method = known.method(name).configure(settings)
    return PlanEntry(name, label, known.entry("method", name).origin, method.settings(), tuple(sorted(method.needed())))


def _first_prompts(metric: str, table: Mapping[str, Any]) -> int | None:
    """The number of prompts that a metric is limited to; None for all."""
    given = table.get("prompts")
    if given is None:
        return None
    if isinstance(given, bool) or not str(given).isdecimal() or int(given) < 1:
        raise TagxaiError(f"prompts of metric {metric!r} takes a whole number from 1, not {given!r}")
    return int(given)
