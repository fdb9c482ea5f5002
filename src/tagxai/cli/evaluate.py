"""`tagxai evaluate`: metrics of explanations that were made earlier."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from tagxai import storage
from tagxai.cli import options
from tagxai.cli.benchmark_output import MetricsOption, print_tables
from tagxai.cli.progress import stages
from tagxai.errors import TagxaiError


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]tagxai evaluate tagxai-out/a-siren-audiogenx-0 --metrics mask_size[/]")(evaluate)


def evaluate(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Written by [bold]tagxai explain[/].")],
    metrics: MetricsOption = None,
    generator: Annotated[
        str | None, typer.Option("--generator", "-g", metavar="NAME[:SOURCE]", help="If the model has moved.")
    ] = None,
    device: options.DeviceOption = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Also write the tables here.")
    ] = None,
) -> None:
    """Measure explanations that were made earlier, beside controls on the same clips."""
    from tagxai.benchmark import entry_syntax, evaluating, result_files
    from tagxai.benchmark.store import RUN

    if out is not None and (out / RUN).exists():
        raise TagxaiError(f"{str(out)!r} holds the tables of a benchmark; give another folder")
    entries = entry_syntax.parse_metrics(metrics or entry_syntax.ALL)
    with storage.new_folder(out) if out is not None else nullcontext() as folder:  # refused before the work
        attributions = evaluating.load_attributions(folders)
        with stages() as stage:
            stage("loading the model")
            names = dict.fromkeys(each.generation.generator for each in attributions)
            models = {name: options.load_model(generator or name, device) for name in names}
            found = evaluating.evaluate(attributions, entries, models, on_progress=stage("scoring"))
        print_tables(found)
        if folder is not None:
            from tagxai.report.benchmark import write_benchmark

            result_files.write(found, folder)
            write_benchmark(found, folder)
