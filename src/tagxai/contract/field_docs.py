"""The string below each field of a class: its help text."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any


def field_docs(cls: Any) -> dict[str, str]:
    """The string below each field of a class, by name; empty where the source cannot be read."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except (OSError, TypeError):  # a class without a source file
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for statement, below in pairwise(body):
            match statement, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(text.split())
    if is_dataclass(cls):  # `make_dataclass` leaves the texts in the fields
        docs |= {field.name: field.metadata["text"] for field in fields(cls) if "text" in field.metadata}
    return docs
