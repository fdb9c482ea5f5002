"""Functions, classes and constants that results depend on, and that other code could replace: put back after it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType
from typing import Any

_STANDARD = (
    *("builtins", "math", "random", "os", "json", "time", "copy", "functools", "itertools", "statistics"),
    *("hashlib", "pathlib", "tempfile", "threading", "struct", "io"),
)
_OTHERS = (
    *("numpy", "numpy.random", "torch", "torch.nn.functional", "torch.random", "torch.linalg", "torch.fft"),
    *("safetensors", "safetensors.torch", "soundfile", "transformers.modeling_utils", "transformers.activations"),
)
_WITH_CLASSES = (
    *("pathlib", "torch.nn.modules", "transformers.models", "transformers.activations", "audiocraft"),
    *("diffusers.models", "encodec"),
)
"""Modules, with those below them, whose classes a model is made of, or a file is written by."""

_BELOW = tuple(f"{name}." for name in _WITH_CLASSES)

_CONTAINERS = (dict, list, set)
_CODE = (FunctionType, BuiltinFunctionType, staticmethod, classmethod, property, functools.cached_property)


def names_of_process() -> list[Names]:
    """What the names of the watched modules and classes stand for just now."""
    return [Names(*owner) for owner in _owners()]


def _owners() -> Iterator[tuple[Any, bool]]:
    """The modules and classes whose names are watched, and whether they are tagxai's own."""
    for name in (*_STANDARD, *_OTHERS):
        if name in sys.modules:
            yield sys.modules[name], False
    if torch := sys.modules.get("torch"):
        yield torch.Tensor, False
    for name, module in list(sys.modules.items()):
        ours = name.startswith("tagxai.") or name == "tagxai"
        if module is not None and (ours or name.startswith(_BELOW) or name in _WITH_CLASSES):
            yield module, ours
            classes = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == name]
            yield from ((each, ours) for each in classes)


class Names:
    """The names of a module or class; of tagxai's own also the private ones, and the contents of tables and lists.

    Of classes all code counts, whatever its name: `__call__` and `__mul__` decide results as `forward` does.
    """

    def __init__(self, owner: Any, ours: bool) -> None:
        self.owner, self.ours, self.before = owner, ours, dict(vars(owner))
        self.places = list(map(id, self.before.values()))  # looked at in one go: there are tens of thousands
        self.contents = {
            name: value.copy()
            for name, value in (self.before.items() if ours else ())
            if type(value) in _CONTAINERS and not name.startswith("__")
        }

    def restore(self) -> None:
        if list(map(id, vars(self.owner).values())) != self.places:
            self._put_back()
        for name, content in self.contents.items():
            _refill(self.before[name], content)

    def _put_back(self) -> None:
        now = vars(self.owner)
        for name, value in self.before.items():
            if now.get(name, _MISSING) is not value and self._counts(name, value):
                setattr(self.owner, name, value)
        if isinstance(self.owner, type):  # a module may load others, a class gains nothing
            for name in [name for name, value in now.items() if self._is_added(name, value)]:
                delattr(self.owner, name)

    def _counts(self, name: str, value: Any) -> bool:
        if isinstance(self.owner, type) and isinstance(value, _CODE):
            return True
        return not name.startswith("__" if self.ours else "_")

    def _is_added(self, name: str, value: Any) -> bool:
        if name in self.before or name.startswith("_abc"):
            return False
        return isinstance(value, _CODE) or (self.ours and not name.startswith("__"))


_MISSING = object()


def _refill(container: Any, content: Any) -> None:
    """The same object with its earlier content, where that differs."""
    if isinstance(container, dict):
        if container.keys() != content.keys() or any(container[key] is not content[key] for key in content):
            container.clear()
            container.update(content)
    elif isinstance(container, list):
        if len(container) != len(content) or any(a is not b for a, b in zip(container, content, strict=True)):
            container[:] = content
    elif container != content:
        container.clear()
        container.update(content)
