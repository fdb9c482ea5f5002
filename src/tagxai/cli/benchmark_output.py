"""Tables of a benchmark on stdout, and the options that `bench` and `evaluate` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tagxai.cli import display
from tagxai.text.printable import printable

if TYPE_CHECKING:
    from tagxai.benchmark.results import Results

MetricsOption = Annotated[
    str | None, typer.Option("--metrics", metavar="NAMES", help="Separated by commas, or all (default).")
]


def print_tables(found: Results, by: str | None = None) -> None:
    """`by` is a column of the prompts whose values have tables of their own."""
    from tagxai.report.benchmark_tables import tables
    from tagxai.report.strata_tables import strata_tables

    console = display.out()
    for table in [*tables(found), *([] if by is None else strata_tables(found, by))]:
        if table.title != "Provenance":
            console.print(Text(f"\n{table.title}", style="bold"))
            if table.text:
                console.print(Text(table.text, style="dim"))
            plain = display.plain_table(*table.header)
            for row in table.rows:
                plain.add_row(*(Text(printable(cell)) for cell in row))
            console.print(plain)
