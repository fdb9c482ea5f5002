"""The texts of options as values: settings, methods, intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from tagxai.contract.method import Method
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.explaining.explanation import Interval
from tagxai.explaining.loading import make_method
from tagxai.registering.registry import registry


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a dictionary, with underscores for the dashes of keys."""
    settings = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.strip():
            raise TagxaiError(f"--set takes KEY=VALUE, such as epochs=20, not {pair!r}")
        method, dot, option = key.strip().rpartition(".")
        settings[method + dot + option.replace("-", "_")] = value.strip()
    return settings


def parse_methods(text: str) -> list[str]:
    """Method names that are separated by commas."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise TagxaiError(f"--method takes names separated by commas, such as audiogenx,shapley, not {text!r}")
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise TagxaiError(f"--method names {repeated!r} twice; give it once")
    return names


def make_methods(names: Sequence[str], settings: Mapping[str, str]) -> dict[str, Method]:
    """The methods by name. A setting METHOD.KEY is for that method, a plain KEY for every method that has it."""
    own: dict[str, dict[str, str]] = {name: {} for name in names}
    shared = {}
    for key, value in settings.items():
        name, dot, option = key.rpartition(".")
        if not dot:
            shared[key] = value
        elif name in own:
            own[name][option] = value
        else:
            raise UnknownNameError("method in this --set", name, names)
    classes: dict[str, Any] = {name: registry().method(name) for name in names}
    known = {name: {f.name for f in fields(cls)} if is_dataclass(cls) else set() for name, cls in classes.items()}
    for key in shared:
        if len(names) > 1 and not any(key in options for options in known.values()):
            raise UnknownNameError("option of these methods", key, set[str]().union(*known.values()))
    return {
        name: make_method(name, {k: v for k, v in shared.items() if len(names) == 1 or k in known[name]} | own[name])
        for name in names
    }


def parse_intervals(texts: Sequence[str], duration: float | None, option: str = "--interval") -> list[Interval]:
    """`START:END` texts as seconds; where the clip's duration is given, they must lie inside it."""
    intervals = []
    for text in texts:
        try:
            start, end = (float(part) for part in text.split(":"))
        except ValueError:
            raise TagxaiError(f"{option} takes START:END in seconds, such as 1.0:2.5, not {text!r}") from None
        if not (0 <= start < end < math.inf):
            raise TagxaiError(f"{option} takes 0 <= START < END in seconds, not {text!r}")
        if duration is not None and end > duration:
            raise TagxaiError(f"interval {start:g}:{end:g} s does not fit the clip: it has {duration:g} s")
        intervals.append((start, end))
    return intervals
