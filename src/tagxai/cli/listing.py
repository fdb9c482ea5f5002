"""`tagxai list` and `tagxai methods NAME`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tagxai.registry import registry


def plugins() -> None:
    """Everything that is registered, one line each."""
    known = registry()
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "name", "what it is", "from"):
        table.add_column(column, no_wrap=column in ("kind", "name"), overflow="fold")
    for kind, entries in (("method", known.methods), ("generator", known.generators), ("metric", known.metrics)):
        for entry in entries.values():
            table.add_row(*map(Text, (kind, entry.name, entry.summary, entry.origin)))
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:  # piped: one line each, however long
        console = Console(markup=False, highlight=False, width=200)
    console.print(table)


def method(name: str) -> None:
    """One method's paper, needs and settings; the text below a setting in the source is its description."""
    cls = registry().method(name)
    console = Console(markup=False, highlight=False)
    console.print(f"{name}: {(cls.__doc__ or '').strip()}", soft_wrap=True)
    console.print(f"source: {(inspect.getmodule(cls).__doc__ or '').strip().splitlines()[0]}", soft_wrap=True)  # type: ignore[union-attr]
    console.print(f"needs: {', '.join(sorted(cls.needs)) or 'generate and forward only'}")
    options = fields(cls) if is_dataclass(cls) else ()
    if not options:
        return
    described = _descriptions(cls)
    table = Table(box=None, pad_edge=False)
    for column in ("--set", "default", "type", "what it does"):
        table.add_column(column, overflow="fold")
    for option in options:
        table.add_row(*map(Text, (option.name, str(option.default), str(option.type), described.get(option.name, ""))))
    console.print(table)


def _descriptions(cls: type[Any]) -> dict[str, str]:
    """The string literal that follows each field in the class's source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body  # type: ignore[attr-defined]
    found = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found
