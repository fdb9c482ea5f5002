"""`tagxai list`, `methods` and `generators`: what is installed, and the settings that it takes.

Only the settings of a generator, whose defaults are in its files, need the model to be loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from importlib import metadata
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand

from tagxai.cli import display, options, sampling, which
from tagxai.contract.field_docs import field_docs
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.explaining.default_method import default_method
from tagxai.generators.embedded import KnownTruth
from tagxai.registering.hookspecs import MethodFamily
from tagxai.registering.registry import Entry, registry


class MethodsCommand(TyperCommand):
    """`methods NAME --help` describes that method, as `methods NAME` does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if any(not argument.startswith("-") for argument in args):
            args = [argument for argument in args if argument != "--help"]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    app.command("list", epilog="Example: [bold]tagxai list[/]")(list_all)
    app.command(
        epilog="Examples: [bold]tagxai methods[/]\n\n[bold]tagxai methods audiogenx[/]\n\n"
        "[bold]tagxai methods --for audiogen[/]\n\n[bold]tagxai methods captum:KernelShap --help[/]",
        cls=MethodsCommand,
    )(methods)
    app.command(epilog="Examples: [bold]tagxai metrics[/]\n\n[bold]tagxai metrics pointing_game[/]")(metrics)
    app.command(
        epilog="Examples: [bold]tagxai generators[/]\n\n[bold]tagxai generators tiny[/]\n\n"
        "[bold]tagxai generators musicgen:facebook/musicgen-small[/]",
    )(generators)


def list_all(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the installed methods, generators and metrics, and where each comes from."""
    known = registry()
    kinds: dict[str, Mapping[str, Entry[Any]]] = {
        "methods": known.methods,
        "generators": known.generators,
        "metrics": known.metrics,
    }
    if known.classifiers:
        kinds["classifiers"] = known.classifiers
    if known.prompt_sets:
        kinds["prompt sets"] = known.prompt_sets
    if as_json:
        rows = {
            kind: {name: {"summary": entry.summary, "from": entry.origin} for name, entry in entries.items()}
            for kind, entries in kinds.items()
        }
        for family in known.families.values():
            origin = _origin(family)
            rows["methods"] |= {n: {"summary": text, "from": origin} for n, text in family.summaries.items()}
        display.print_json(rows)
        return
    console = display.out()
    _print_methods(console)
    for kind in [kind for kind in kinds if kind != "methods"]:
        _print_entries(console, kind, kinds[kind])


def methods(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A method, whose settings are shown; default: all."),
    ] = None,
    for_generator: Annotated[
        str | None, typer.Option("--for", metavar="GENERATOR", help="Say which methods work on this generator.")
    ] = None,
) -> None:
    """Which method? A table of all by what they ask, cost and need; or one of them, with its paper and settings."""
    console = display.out()
    if name is not None:
        _describe(console, name, registry().method(name))
        return
    which.print_methods(console, _asked(for_generator))
    for prefix, family in registry().families.items():
        console.print(f"methods of {prefix}, such as {next(iter(family.summaries))} ({_origin(family)}): tagxai list")


def metrics(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A metric, which is described; default: all.")
    ] = None,
    for_generator: Annotated[
        str | None, typer.Option("--for", metavar="GENERATOR", help="Say which metrics work on this generator.")
    ] = None,
) -> None:
    """Which metric? A table of all by what they ask, how they are read and what they take; or one of them."""
    console = display.out()
    if name is not None:
        which.print_metric(console, name, registry().metric(name))
    else:
        which.print_metrics(console, _asked(for_generator))


def _asked(spec: str | None) -> Generator | type[Generator] | None:
    """The generator that is asked what works on it: loaded where that takes nothing but its own files, else its class.

    Some refusals depend on the layers of a model, not on what its class offers.
    """
    if spec is None:
        return None
    cls = registry().generator(spec.partition(":")[0])
    return options.load_model(spec, "cpu") if ":" in spec or issubclass(cls, KnownTruth) else cls


def generators(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="[NAME[:SOURCE]]", help="A generator, which is loaded; default: list all."),
    ] = None,
) -> None:
    """Describe a generator: what it offers, and the sampling settings that it takes."""
    console = display.out()
    if spec is None:
        which.print_generators(console, registry().generators)
        return
    options.check_generator(spec)
    model = options.load_model(spec, "auto")
    entry = registry().entry("generator", spec.partition(":")[0])
    facts = display.plain_table("", "")
    facts.show_header = False
    facts.add_row("offers", ", ".join(sorted(model.offers)) or "only forward passes")
    facts.add_row(
        "makes", f"{model.sample_rate} Hz, {model.frame_rate:g} frames a second, up to {model.max_duration:g} s"
    )
    facts.add_row("scores in", model.unit)
    name, settings = default_method(model)
    facts.add_row("default method", " ".join([name, *(f"--set {key}={value}" for key, value in settings.items())]))
    facts.add_row("other methods", f"tagxai methods --for {spec}")
    console.print(Text.assemble((spec, "bold"), f"\n{entry.summary}\n"))
    console.print(facts)
    declared = model.sampling_settings()
    if not declared:
        console.print("\nIt has no sampling settings.")
        return
    table = display.plain_table("setting", "option", "default", "takes", "what it does")
    for setting in declared:
        option = sampling.option_of(setting.name)
        table.add_row(
            Text(setting.name, style="bold"), option, str(setting.default), Text(setting.takes), Text(setting.help)
        )
    console.print()
    console.print(table)
    first = declared[0]
    console.print(
        f"\nExample: tagxai explain PROMPT --generator {spec} {sampling.option_of(first.name)} {first.default}"
    )


def _describe(console: Console, name: str, cls: type[Method]) -> None:
    paper = getattr(cls, "paper", "") or (sys.modules[cls.__module__].__doc__ or "").strip().partition("\n\n")[0]
    facts = display.plain_table("", "")
    facts.show_header = False
    facts.add_row("paper", Text(" ".join(paper.split())))
    facts.add_row("needs", f"{', '.join(sorted(cls.needs)) or 'only forward passes'} (of a generator)")
    facts.add_row("costs", f"{cls.expense} (passes of the model)")
    console.print(Text.assemble((name, "bold"), f"\n{' '.join((cls.__doc__ or '').split())}\n"))
    console.print(facts)
    if not (is_dataclass(cls) and fields(cls)):
        console.print("\nIt has no settings.")
        return
    table = display.plain_table("setting", "default", "takes", "what it does")
    types, texts = get_type_hints(cls), field_docs(cls)
    for field in fields(cls):
        default = "(required)" if field.default is MISSING else str(field.default).lower()
        text = texts.get(field.name, "")
        table.add_row(
            Text(field.name, style="bold"),
            Text(default),
            Text(type_in_words(types[field.name])),
            Text(text),
        )
    console.print()
    console.print(table)
    known = {field.name: str(field.default).lower() for field in fields(cls) if field.default not in (None, MISSING)}
    setting, value = next(iter(known.items()), (fields(cls)[-1].name, "..."))
    console.print(f"\nExample: tagxai explain PROMPT --method {name} --set {setting}={value}")


def type_in_words(annotation: Any) -> str:
    """A field's type as a user would write its values on the command line."""
    choices = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, choices))
    if choices:
        return " | ".join("none" if choice is type(None) else type_in_words(choice) for choice in choices)
    return {"bool": "true | false", "str": "text"}.get(annotation.__name__, annotation.__name__)


def _print_methods(console: Console) -> None:
    known = registry()
    _print_entries(console, "methods", known.methods)
    for prefix, family in known.families.items():
        _print_rows(
            console, f"methods of {prefix}", [(n, text, _origin(family)) for n, text in family.summaries.items()]
        )


def _origin(family: MethodFamily) -> str:
    try:
        return f"{family.distribution} {metadata.version(family.distribution)}"
    except metadata.PackageNotFoundError:
        return f"not installed: pip install 'tagxai[{family.distribution}]'"


def _print_entries(console: Console, kind: str, entries: Mapping[str, Entry[Any]]) -> None:
    _print_rows(console, kind, [(entry.name, entry.summary, entry.origin) for entry in entries.values()])


def _print_rows(console: Console, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    console.print(f"[bold underline]{title}[/]")
    table = display.plain_table("name", "what it is", "from")
    for name, text, origin in rows:
        table.add_row(Text(name, style="bold cyan", no_wrap=True), Text(text), Text(origin, style="dim"))
    console.print(table)
    console.print()
