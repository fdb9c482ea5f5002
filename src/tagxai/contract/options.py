"""Options of methods and metrics: the fields of a frozen dataclass, given by name, perhaps as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from math import isfinite
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from tagxai.contract.foreign import ask_foreign, is_built_in
from tagxai.contract.magnitude import check_magnitude
from tagxai.errors import TagxaiError, UnknownNameError

T = TypeVar("T", bound="Configurable")  # not typing.Self, which the shape checks cannot follow


class Configurable:
    """What methods and metrics share: a frozen dataclass (or no fields at all) whose fields are its options."""

    role: ClassVar[str]  # "method" or "metric", for what errors say
    name: ClassVar[str]

    def settings(self) -> dict[str, Any]:
        """The options, as they go into a saved result."""
        return asdict(self) if is_dataclass(self) else {}

    @classmethod
    def configure(cls: type[T], options: Mapping[str, Any]) -> T:
        """Make it from options by name; values may be text (`--set key=value`).

        Raises TagxaiError for a wrong key or value, and for whatever goes wrong in a class from outside.
        """
        if is_built_in(cls):
            return cls._configured(options)
        return ask_foreign(f"{cls.role} {cls.name!r}", cls._configured, options)

    @classmethod
    def _configured(cls: type[T], options: Mapping[str, Any]) -> T:
        types = get_type_hints(cls)
        known: dict[str, Any] = {f.name: types[f.name] for f in fields(cls)} if is_dataclass(cls) else {}
        for key in options:
            if key not in known:
                raise UnknownNameError(f"option of {cls.role} {cls.name!r}", key, known)
        read = {
            key: _parse(f"option {key!r} of {cls.role} {cls.name!r}", value, known[key])
            if isinstance(value, str)
            else value
            for key, value in options.items()
        }
        for key, value in read.items():
            if value != getattr(cls, key, None):  # a default may be as small as its method needs
                check_magnitude(f"option {key!r} of {cls.role} {cls.name!r}", value, seed=key == "seed")
        return cls(**read)

    def require(self, option: str, holds: bool, expected: str) -> None:
        """For `__post_init__`: raises TagxaiError naming the option where what must hold does not."""
        if not holds:
            given = getattr(self, option)
            raise TagxaiError(
                f"option {option!r} of {self.role} {self.name!r} must be {expected}, not "
                f"{f'{given:g}' if isinstance(given, float) else given}"
            )


_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _parse(what: str, text: str, kind: Any) -> Any:
    """Read an option's text as its field's type: a Literal, bool, int, float or str, each perhaps `| None`."""
    choices = get_args(kind)
    if get_origin(kind) is Literal:
        if text not in choices:
            raise UnknownNameError(f"value for {what}", text, choices)
        return text
    if get_origin(kind) is Mapping:
        raise TagxaiError(f"{what} takes a table, which text cannot be: {text!r}")
    if choices:  # a union with None
        if text.lower() == "none":
            return None
        (kind,) = (choice for choice in choices if choice is not type(None))
        return _parse(what, text, kind)
    try:
        value = _TRUTH[text.lower()] if kind is bool else kind(text)
        if kind is float and not isfinite(value):
            raise ValueError(text)
        return value
    except (ValueError, KeyError):
        raise TagxaiError(f"{what} takes {kind.__name__}, not {text!r}") from None
