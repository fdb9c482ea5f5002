"""Which method, which metric: tables of what each asks, costs and needs, and whether it works on a generator."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from tagxai.cli import display
from tagxai.contract.generator import Generator
from tagxai.contract.method import QUESTIONS, Method
from tagxai.contract.metric import MethodMetric, Metric
from tagxai.errors import TagxaiError
from tagxai.registering.registry import registry


def print_methods(console: Console, generator: type[Generator] | None = None) -> None:
    """A table of the methods by family, with the question that each family answers; `generator` adds what works."""
    methods = {name: entry.cls for name, entry in registry().methods.items()}
    families = dict.fromkeys([*QUESTIONS, *sorted({cls.family for cls in methods.values()})])
    for family in families:
        mine = {name: cls for name, cls in methods.items() if cls.family == family}
        if not mine:
            continue
        console.print(Text.assemble((family, "bold underline"), (f"  {QUESTIONS.get(family, '')}", "dim")))
        headings = ("method", "costs (passes of the model)", "needs")
        table = display.plain_table(*headings, *([f"on {generator.name}"] if generator else []))
        for name, cls in mine.items():
            needs = ", ".join(sorted(cls.needs)) or "-"
            works = [Text(_works(cls, generator))] if generator else []
            table.add_row(Text(name, style="bold cyan", no_wrap=True), Text(cls.expense), Text(needs), *works)
        console.print(table)
        console.print()


def _works(cls: type[Method], generator: type[Generator]) -> str:
    """Whether a method works on a generator, and with which setting where its defaults do not."""
    refused = ""
    for settings in ({}, {"operator": "delete"}):
        try:
            missing = cls.configure(settings).needed() - generator.offers
        except TagxaiError:  # it has no such setting
            continue
        if not missing:
            return "yes" if not settings else "with --set operator=delete"
        refused = refused or f"no: {generator.name} does not offer {', '.join(sorted(missing))}"
    return refused


def print_metric(console: Console, name: str, cls: type[Metric]) -> None:
    """What a metric means, how its number is read, and what it takes."""
    low, high = cls.bounds
    facts = display.plain_table("", "")
    facts.show_header = False
    for title, text in (
        ("family", cls.family),
        ("read", f"{'higher' if cls.higher_is_better else 'lower'} is better, from {low:g} to {high:g}"),
        ("asks", "the method again" if issubclass(cls, MethodMetric) else "the explanation"),
        ("needs", f"{', '.join(sorted(cls.needs)) or 'only forward passes'} (of a generator)"),
        ("costs", cls.expense),
        *_settings(cls),
    ):
        facts.add_row(title, Text(text))
    console.print(Text.assemble((name, "bold"), f"\n{' '.join((cls.__doc__ or '').split())}\n"))
    console.print(facts)
    console.print(f"\nExample: tagxai evaluate FOLDER --metrics {name}")


def _settings(cls: type[Metric]) -> Iterator[tuple[str, str]]:
    for number, (option, value) in enumerate(cls().settings().items()):
        yield "" if number else "settings", f"{option}={value}"
