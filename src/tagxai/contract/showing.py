"""How values show themselves: what draws them stands above this folder, and is found by name.

The contract imports nothing above it. As matplotlib does with its backends, it names a module instead, whose functions
`heat_map`, `bands`, `notebook_html` and `open_page` it calls; an application with pictures of its own sets `DRAWS`.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

DRAWS = "tagxai.report.showing"


def drawing() -> ModuleType:
    """The module that draws values."""
    return import_module(DRAWS)
