"""`torch`, imported when it is first used.

Importing torch takes seconds; listing plugins or printing help needs none of it. Modules of tagxai write
`from tagxai.lazy import torch` and use it inside functions (annotations are strings and are never evaluated).
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["torch"]


class _LazyModule(ModuleType):
    """A stand-in that imports the module of its name on the first attribute access."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # import machinery and inspection must not load the real module
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self.__name__), attribute)


if TYPE_CHECKING:
    import torch
else:
    torch = _LazyModule("torch")
