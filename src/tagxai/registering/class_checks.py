"""What a registered class must be, in one sentence where it is not."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

from tagxai.contract.metric import Metric

NAME = re.compile(r"[^\W_][\w.+-]*(?: [\w.+-]+)*")
"""Names that can be written on a command line and in a plan, where `:`, `,`, `/` and brackets separate things."""

RESERVED = ("all", "none")


def fault(cls: Any, base: type) -> str | None:
    """Why a class cannot be registered as a `base`; None where it can."""
    kind = base.__name__
    if isinstance(cls, base):
        return f"registers an instance of {type(cls).__name__}; expected {kind} classes with a name: the class itself"
    if not (isinstance(cls, type) and issubclass(cls, base)):
        return f"registers {cls!r:.60}; expected {kind} classes with a name"
    name = getattr(cls, "name", None)
    if not isinstance(name, str):
        return (
            f"registers {cls.__name__}, which has no name; expected {kind} classes with a name, such as name = 'mine'"
        )
    if not NAME.fullmatch(name) or name in RESERVED or len(name) > 80:
        return (
            f"registers {cls.__name__} under the name {name!r:.80}; a name has letters, digits, '_', '-', '+' and '.', "
            "and is not 'all'"
        )
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        return f"registers {name!r}, whose class {cls.__name__} lacks {missing}"
    wrong = _fault_of_description(cls)
    return wrong or (_fault_of_metric(cls) if issubclass(cls, Metric) else None)


def _fault_of_description(cls: type[Any]) -> str | None:
    """What tables and lists say of a class, and what they choose by."""
    said = {"a docstring": cls.__doc__ or "", **{name: getattr(cls, name, "") for name in ("family", "expense")}}
    for what, text in said.items():
        if not isinstance(text, str):
            return f"registers {cls.name!r} with {what} = {text!r:.60}; expected text"
    for name in ("needs", "offers"):
        words: object = getattr(cls, name, frozenset())
        if not isinstance(words, (set, frozenset, list, tuple)) or not all(isinstance(word, str) for word in words):
            return f"registers {cls.name!r} with {name} = {words!r:.60}; expected a set of texts"
    return None


def _fault_of_metric(cls: type[Metric]) -> str | None:
    family, higher = getattr(cls, "family", None), getattr(cls, "higher_is_better", None)
    if not isinstance(family, str) or not family:
        return f"registers the metric {cls.name!r} without a family, such as family = 'faithfulness'"
    if not isinstance(higher, bool):
        return f"registers the metric {cls.name!r} without higher_is_better = True or False"
    bounds = getattr(cls, "bounds", None)
    if not (
        isinstance(bounds, tuple)
        and len(bounds) == 2
        and all(isinstance(bound, (int, float)) and not math.isnan(bound) for bound in bounds)
        and bounds[0] < bounds[1]
    ):
        return f"registers the metric {cls.name!r} without bounds = (lowest, highest)"
    return None
