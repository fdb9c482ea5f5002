"""`tagxai list` and `tagxai methods`: what is installed and what it can be told. Neither loads torch."""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from rich.console import Console
from rich.text import Text

from tagxai.cli import display
from tagxai.registry import Entry, registry


def register(app: typer.Typer) -> None:
    app.command("list", epilog="Example: [bold]tagxai list[/]")(list_all)
    app.command(epilog="Examples: [bold]tagxai methods[/]\n\n[bold]tagxai methods audiogenx[/]")(methods)


def list_all(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the methods, generators and metrics that are installed, and where each comes from."""
    known = registry()
    kinds: dict[str, Mapping[str, Entry[Any]]] = {
        "methods": known.methods,
        "generators": known.generators,
        "metrics": known.metrics,
    }
    if as_json:
        rows = {
            kind: {name: {"summary": entry.summary, "from": entry.origin} for name, entry in entries.items()}
            for kind, entries in kinds.items()
        }
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    console = display.out()
    for kind, entries in kinds.items():
        _print_entries(console, kind, entries)


def methods(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A method; without it, all are listed.")] = None,
) -> None:
    """Describe a method: what it does, what it needs, and every setting that --set takes."""
    console = display.out()
    if name is None:
        _print_entries(console, "methods", registry().methods)
        return
    cls = registry().method(name)
    paper = (sys.modules[cls.__module__].__doc__ or "").strip().partition("\n\n")[0]
    console.print(Text.assemble((name, "bold"), f"\n{(cls.__doc__ or '').strip()}\n"))
    console.print(Text(paper + "\n", style="dim"))
    console.print(f"It needs of a generator: {', '.join(sorted(cls.needs)) or 'nothing but generate and forward'}.\n")
    if not (is_dataclass(cls) and fields(cls)):
        console.print("It has no settings.")
        return
    table = display.plain_table("setting", "default", "takes", "what it does")
    kinds, texts = get_type_hints(cls), field_docs(cls)
    for field in fields(cls):
        default = "(required)" if field.default is MISSING else str(field.default).lower()
        text = texts.get(field.name, "")
        table.add_row(
            Text(field.name, style="bold"),
            Text(default),
            Text(kind_name(kinds[field.name])),
            Text(text),
        )
    console.print(table)
    console.print(f"\nExample: tagxai explain PROMPT --method {name} --set {fields(cls)[0].name}=...")


def field_docs(cls: type) -> dict[str, str]:
    """The string below each field of a class, by name; what has no source to read has none."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except (OSError, TypeError):  # made without a source file
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(text.split())
    return docs


def kind_name(kind: Any) -> str:
    """A field's type as a reader of the command line would write its values."""
    if get_origin(kind) is Literal:
        return " | ".join(map(str, get_args(kind)))
    if get_args(kind):
        return " | ".join("none" if part is type(None) else kind_name(part) for part in get_args(kind))
    return {"bool": "true | false", "str": "text"}.get(kind.__name__, kind.__name__)


def _print_entries(console: Console, kind: str, entries: Mapping[str, Entry[Any]]) -> None:
    console.print(f"[bold underline]{kind}[/]")
    table = display.plain_table("name", "what it is", "from")
    for entry in entries.values():
        table.add_row(
            Text(entry.name, style="bold cyan", no_wrap=True), Text(entry.summary), Text(entry.origin, style="dim")
        )
    console.print(table)
    console.print()
