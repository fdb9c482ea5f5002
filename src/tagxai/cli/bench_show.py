"""`tagxai bench show` and `tagxai bench merge`: the tables of runs, and their files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tagxai.cli import display, options
from tagxai.cli.bench_options import ByOption, ReferenceOption
from tagxai.cli.benchmark_output import print_tables
from tagxai.errors import UnknownNameError

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
) -> None:
    """Print the tables of a benchmark, and write its result files again.

    Exit status: 0 if every cell that applies has a value, 1 if some failed, 3 if some are still to be computed.
    """
    finish(folder, reference=reference, by=by)


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
