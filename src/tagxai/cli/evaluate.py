"""`tagxai evaluate`: metrics of explanations that were made earlier."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from tagxai import storage
from tagxai.cli import options
from tagxai.cli.bench_show import leave_by_cells
from tagxai.cli.benchmark_output import MetricsOption, print_tables
from tagxai.cli.progress import stages
from tagxai.explaining.making import check_made_by


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]tagxai evaluate tagxai-out/a-siren-audiogenx-0 --metrics mask_size[/]")(evaluate)


def evaluate(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Written by [bold]tagxai explain[/].")],
    metrics: MetricsOption = None,
    generator: Annotated[
        str | None, typer.Option("--generator", "-g", metavar="NAME[:SOURCE]", help="If the model has moved.")
    ] = None,
    device: options.DeviceOption = "auto",
    out: Annotated[Path | None, options.out_option("Also write the tables here.")] = None,
    force: options.ForceOption = False,
) -> None:
    """Measure explanations that were made earlier, beside controls on the same clips.

    Exit status: 0 if every cell that applies has a value, 1 if some failed.
    """
    from tagxai.benchmark import entry_syntax, evaluating
    from tagxai.benchmark.store import SCHEMA_OF_RESULTS

    entries = entry_syntax.parse_metrics(metrics or entry_syntax.ALL)
    claimed = storage.claimed(out, SCHEMA_OF_RESULTS, force=force) if out is not None else nullcontext()
    with claimed as folder:  # refused before the work
        attributions = evaluating.load_attributions(folders)
        with stages() as stage:
            stage("loading the model")
            names = dict.fromkeys(each.generation.generator for each in attributions)
            models = {name: options.load_model(generator or name, device) for name in names}
            for each in attributions:
                clip = each.generation
                check_made_by(models[clip.generator], clip, generator)
            found = evaluating.evaluate(attributions, entries, models, on_progress=stage("scoring"))
        print_tables(found)
        if folder is not None:
            from tagxai.report.benchmark import write_benchmark

            write_benchmark(found, folder)
    leave_by_cells(found)
