"""Which method, which metric: tables of what each asks, costs and needs, and whether it works on a generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from tagxai.cli import display, measured
from tagxai.contract.generator import Generator
from tagxai.contract.method import QUESTIONS, Method
from tagxai.contract.metric import MethodMetric, Metric
from tagxai.errors import TagxaiError
from tagxai.explaining.default_method import default_method
from tagxai.registering.registry import registry


def print_methods(console: Console, generator: Generator | type[Generator] | None = None) -> None:
    """A table of the methods by family, with the question that each family answers; `generator` adds what works.

    A loaded generator is asked itself; of a class it is only known what it offers.
    """
    right = measured.places()
    methods = {name: entry.cls for name, entry in registry().methods.items()}
    families = dict.fromkeys([*QUESTIONS, *sorted({cls.family for cls in methods.values()})])
    for family in families:
        mine = {name: cls for name, cls in methods.items() if cls.family == family}
        if not mine:
            continue
        console.print(Text.assemble((family, "bold underline"), (f"  {QUESTIONS.get(family, '')}", "dim")))
        headings = ("method", "right", "costs (passes of the model)", "needs")
        table = display.plain_table(*headings, *([f"on {generator.name}"] if generator else []))
        for name, cls in mine.items():
            needs = ", ".join(sorted(cls.needs)) or "-"
            works = [Text(_works(cls, generator))] if generator else []
            place = Text(right.get(name, "-"), no_wrap=True)
            table.add_row(Text(name, style="bold cyan", no_wrap=True), place, Text(cls.expense), Text(needs), *works)
        console.print(table)
        console.print()
    console.print(measured.FOOTNOTE, style="dim")


def _works(cls: type[Method], generator: Generator | type[Generator]) -> str:
    """Whether a method works on a generator, and with which settings where its defaults do not."""
    method = cls.configure({})
    suited = method.suited(generator.offers)
    missing = suited.needed() - generator.offers
    if missing:
        return f"no: {generator.name} does not offer {', '.join(sorted(missing))}"
    if isinstance(generator, Generator):
        try:
            suited.check_supported(generator)
        except TagxaiError as error:
            return f"no: {error}"
    if suited is method:
        return "yes"
    return f"yes, with {', '.join(f'{key}={value}' for key, value in cls.fallback.items())}"


def print_metrics(console: Console, generator: Generator | type[Generator] | None = None) -> None:
    """A table of the metrics by family, with how each is read, what it takes, and whether `generator` allows it."""
    metrics = {name: entry.cls for name, entry in registry().metrics.items()}
    for family in sorted({cls.family for cls in metrics.values()}):
        console.print(Text(family, style="bold underline"))
        headings = ("metric", "good", "from", "to", "costs", "needs")
        table = display.plain_table(*headings, *([f"on {generator.name}"] if generator else []))
        for name, cls in metrics.items():
            if cls.family != family:
                continue
            low, high = (f"{bound:g}" for bound in cls.bounds)
            missing = cls.needs - generator.offers if generator else frozenset()
            answer = f"no: it does not offer {', '.join(sorted(missing))}" if missing else "yes"
            table.add_row(
                Text(name, style="bold cyan", no_wrap=True),
                *("high" if cls.higher_is_better else "low", low, high),
                *(Text(cls.expense), Text(", ".join(sorted(cls.needs)) or "-")),
                *([Text(answer)] if generator else []),
            )
        console.print(table)
        console.print()


def print_generators(console: Console, generators: Mapping[str, Any]) -> None:
    """A table of the generators by name, with what each offers to methods, and its default method."""
    table = display.plain_table("generator", "what it is", "offers", "default method", "from")
    for name, entry in generators.items():
        method, settings = default_method(entry.cls)
        written = ", ".join(f"{key}={value}" for key, value in settings.items())
        table.add_row(
            Text(name, style="bold cyan", no_wrap=True),
            *(Text(entry.summary), Text(", ".join(sorted(entry.cls.offers)) or "only forward passes")),
            *(Text(f"{method} ({written})" if written else method), Text(entry.origin, style="dim")),
        )
    console.print(table)


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
