"""`tagxai amortise`: train, once a generator, a network that predicts a method's scores in one pass."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagxai import storage
from tagxai.cli import display, options, parsing
from tagxai.cli.progress import stages
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import make_method
from tagxai.text.lists import read_prompts


def register(app: typer.Typer) -> None:
    app.command(
        "amortise",
        epilog="Examples: [bold]tagxai amortise tiny --prompts prompts.txt --out network[/]\n\n"
        "[bold]tagxai amortise musicgen:MODEL --prompts captions.csv --duration 5 --clusters 4 --out network[/]\n\n"
        '[bold]tagxai explain "a dog barks" --method amortised:network/explainer.safetensors[/]\n\n'
        "The same command resumes a run that was interrupted.",
    )(amortise)


def amortise(
    generator: Annotated[str, typer.Argument(metavar="GENERATOR[:SOURCE]", help="The model that is explained.")],
    prompts: Annotated[
        Path,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="Prompts to learn from, hundreds at best: a .txt with one per line, or a .csv or .tsv.",
        ),
    ],
    out: Annotated[Path, options.out_option("Lessons and the trained network go here.")],
    teacher: Annotated[str, typer.Option("--teacher", help="The method whose scores are learned.")] = "share_x_effect",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the teacher.")
    ] = None,
    duration: options.DurationOption = None,
    seed: options.SeedOption = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first prompts of the list.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Times that all lessons are gone through.")] = 48,
    units: Annotated[int, typer.Option(min=1, max=4096, help="Hidden units of the network.")] = 48,
    clusters: Annotated[
        int, typer.Option(min=0, max=64, help="One network for each of so many clusters of frames; 0: one for all.")
    ] = 0,
    held_out: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Share of the prompts, the last, that choose the epoch.")
    ] = 0.1,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    force: options.ForceOption = False,
) -> None:
    """Train a network that predicts a method's scores for one generator, in one pass of the model."""
    from tagxai.explaining.amortising.learning import Recipe
    from tagxai.explaining.amortising.lessons import Course
    from tagxai.explaining.amortising.training import SCHEMA, train

    chosen = [prompt.text for prompt in read_prompts(prompts)[:limit]]
    if clusters == 1:
        raise TagxaiError("--clusters takes 0, for one network, or at least 2; not 1")
    options.check_generator(generator)
    options.check_duration(duration)
    method = make_method(teacher, parsing.parse_settings(list(settings or ())))
    with storage.claimed(out, SCHEMA, force=force) as folder, storage.alone(folder), stages(counted=True) as stage:
        stage("loading the model")
        model = options.load_model(generator, device, dtype)
        options.check_fits(model, duration)
        method.check_supported(model)
        course = Course(method, chosen, duration, seed)
        recipe = Recipe(units=units, epochs=epochs, seed=seed)
        found = train(model, course, folder, recipe, held_out=held_out, clusters=clusters, stage=stage)
    console = display.out()
    console.print(
        f"Learned from {found.learned_from} prompts; on {found.held_out} others it misses {found.error:.2f} of "
        f"{teacher}'s variance. Explain with --method amortised:{found.file}",
        soft_wrap=True,
        markup=False,
    )
    if found.clusters:
        table = display.plain_table("cluster", "frames", "read there")
        for number, each in enumerate(found.clusters):
            table.add_row(str(number), f"{each.share:.0%}", ", ".join(each.words))
        console.print(table)
