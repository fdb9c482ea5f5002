"""`tagxai bench show` and `tagxai bench merge`: the tables of runs, and their files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tagxai.benchmark.entry_syntax import split
from tagxai.cli import display, options
from tagxai.cli.bench_options import ByOption, ReferenceOption
from tagxai.cli.benchmark_output import print_tables
from tagxai.errors import TagxaiError, UnknownNameError

if TYPE_CHECKING:
    from tagxai.benchmark.results import Results

FAILED, MISSING = 1, 3
"""Exit statuses: some cells failed; none did, but some are still to be computed."""


def register(bench: typer.Typer) -> None:
    bench.command(epilog="Example: [bold]tagxai bench show results[/]")(show)
    bench.command(epilog="Example: [bold]tagxai bench merge machine-a machine-b --out both[/]")(merge)


def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A benchmark's, finished or not.")],
    reference: ReferenceOption = None,
    by: ByOption = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="NAMES", help="Show only these, separated by commas.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="METRIC", help="Order the methods by this metric, best first.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print only the leaderboard, as CSV.")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="Print only the leaderboards, as LaTeX.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the results, as JSON.")] = False,
    as_bibtex: Annotated[bool, typer.Option("--bibtex", help="Print only the references of what was run.")] = False,
) -> None:
    """Print the tables of a benchmark, and write its result files again.

    Exit status: 0 if every cell that applies has a value, 1 if some failed, 3 if some are still to be computed.
    """
    from tagxai.benchmark import results

    forms = {"csv": as_csv, "latex": as_latex, "json": as_json, "bibtex": as_bibtex}
    chosen = [name for name, wanted in forms.items() if wanted]
    if len(chosen) > 1:
        raise TagxaiError(f"give one of --{' and --'.join(chosen)}")
    if chosen and by is not None:
        raise TagxaiError(f"--by {by} adds tables to those of the terminal, and --{chosen[0]} prints none of them")
    found = results.load(folder, reference=reference)
    shown = found if metrics is None else found.of_metrics(split(metrics))
    shown = shown if sort is None else shown.sorted_by(sort)
    if chosen:
        if as_json:
            display.print_json(shown.to_json())
        else:
            print(_as_text(shown, chosen[0]), end="")
        leave_by_cells(found)
    elif metrics is None and sort is None:
        finish(folder, reference=reference, by=by)
    else:
        if by is not None:
            check_column(by, found.columns)
        print_tables(shown, by=by)
        display.out().print(Text(_counts(found)), soft_wrap=True)
        leave_by_cells(found)


def _as_text(found: Results, form: str) -> str:
    """Results in one of the forms of `show` that are plain text."""
    from tagxai.benchmark.paper import latex
    from tagxai.benchmark.paper.bibliography import bibliography
    from tagxai.benchmark.paper.rows import board_rows
    from tagxai.benchmark.result_files import csv_text

    if form == "csv":
        return csv_text(list(board_rows(found)))
    return latex.document(found) if form == "latex" else bibliography(found)


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of benchmarks.")],
    out: Annotated[Path, options.out_option("The folder that they are merged into.")],
    force: options.ForceOption = False,
) -> None:
    """Merge the results of several runs."""
    from tagxai.benchmark.merging import merge as join

    join(folders, out, force=force)
    finish(out)


def finish(folder: Path, *, reference: str | None = None, by: str | None = None) -> None:
    """Print the tables of a folder, write all its result files, and exit with what became of its cells."""
    from tagxai.benchmark import results
    from tagxai.report.benchmark import write_benchmark

    found = results.load(folder, reference=reference)
    if by is not None:
        check_column(by, found.columns)
    files = write_benchmark(found, folder)
    print_tables(found, by=by)
    display.out().print(Text("\n" + ", ".join(map(str, files))), soft_wrap=True)
    display.out().print(Text(_counts(found)), soft_wrap=True)
    for plan in (file for file in files if file.suffix == ".toml"):
        display.out().print(Text(f"repeat it: tagxai bench {plan} --yes --out NEW"), soft_wrap=True)
    leave_by_cells(found)


def leave_by_cells(found: Results) -> None:
    """Leave with the status of what became of the cells, unless all that apply have a value."""
    if found.counts["failed"]:
        errors = [cell.error for cell in found.cells if cell.method not in found.controls and not cell.not_applicable]
        if all(error is not None for error in errors):
            display.complain(f"all {len(errors)} cells of the methods failed, the first because {errors[0]}")
        raise typer.Exit(FAILED)
    if found.counts["missing"]:
        raise typer.Exit(MISSING)


def check_column(name: str, columns: Collection[str]) -> None:
    """Raises UnknownNameError for a column that the prompts do not have."""
    if name not in columns:
        raise UnknownNameError("column of the prompts, for --by,", name, columns)


def _counts(found: Results) -> str:
    counts = found.counts
    parts = [f"{counts['value']:,} of {len(found.cells):,} cells have a value"]
    parts += [f"{counts['not applicable']:,} are not applicable"] if counts["not applicable"] else []
    parts += [f"{counts['failed']:,} failed (--retry-failed computes them again)"] if counts["failed"] else []
    parts += [f"{counts['missing']:,} are missing (the same command resumes the run)"] if counts["missing"] else []
    return ", ".join(parts)
