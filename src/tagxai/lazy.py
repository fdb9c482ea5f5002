"""`torch`, and jaxtyping's `Float`, `Int` and `Bool`, imported when they are first used.

Importing torch takes seconds, and jaxtyping imports numpy; listing plugins or printing help needs none of it. Modules
of tagxai write `from tagxai.lazy import Float, torch` and use torch inside functions (annotations are strings, which
are evaluated by nothing but a type checker).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["Bool", "Float", "Int", "torch"]


class _LazyModule:
    """A stand-in that imports a module on the first attribute access.

    Each access asks for the module: `__import__`, the call of an import statement, does so in a quarter of the time of
    `importlib.import_module`. A subclass of ModuleType would take two microseconds more.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # import machinery and inspection must not load the real module
            raise AttributeError(attribute)
        return getattr(__import__(self._name), attribute)


class _LazyShape:
    """A stand-in for a type of jaxtyping, `Float[torch.Tensor, "words frames"]`, that imports it to make one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, array_and_axes: Any) -> Any:
        return getattr(importlib.import_module("jaxtyping"), self._name)[array_and_axes]


if TYPE_CHECKING:
    import torch
    from jaxtyping import Bool, Float, Int
else:
    torch = _LazyModule("torch")
    Bool, Float, Int = _LazyShape("Bool"), _LazyShape("Float"), _LazyShape("Int")
