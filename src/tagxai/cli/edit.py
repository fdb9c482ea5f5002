"""`tagxai edit`: a clip made again with some words turned up or down, to hear beside the plain one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display, options
from tagxai.cli.export import OpenOption, show_in_browser
from tagxai.cli.progress import stages
from tagxai.cli.sampling import EPILOG, SamplingCommand, check_sampling, given_sampling
from tagxai.cli.slugs import unique_slug
from tagxai.contract.request import check_prompt
from tagxai.errors import TagxaiError
from tagxai.explaining.editing import SCHEMA, Edit, earlier
from tagxai.explaining.editing import edit as make_edit


def register(app: typer.Typer) -> None:
    app.command(
        cls=SamplingCommand,
        epilog='Examples: [bold]tagxai edit "a dog barks while rain falls" --gain "rain falls=0.3"[/]\n\n'
        '[bold]tagxai edit "a dog barks while rain falls" --gain "a dog barks=2" --gain "rain falls=0" --repeats 3'
        "[/]\n\nGive whole phrases: a noun muted alone leaves its verb sounding. " + EPILOG,
    )(edit)


def edit(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="A description of the audio.")],
    gain: Annotated[
        list[str],
        typer.Option("--gain", metavar="WORDS=FACTOR", help="How strongly WORDS act, 0 to 4; may be repeated."),
    ],
    generator: options.GeneratorOption = "tiny",
    duration: options.DurationOption = None,
    seed: options.SeedOption = 0,
    repeats: Annotated[int, typer.Option(min=1, max=99, help="Pairs of clips, with seeds from --seed upwards.")] = 1,
    out: Annotated[Path | None, options.out_option("Default: tagxai-out/PROMPT-edit-SEED.")] = None,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    force: options.ForceOption = False,
    quiet: options.QuietOption = False,
    open_page: OpenOption = False,
) -> None:
    """Make a clip, and the same clip with some words acting more strongly or weakly, on one page to compare."""
    check_prompt(prompt)
    gains = parse_gains(gain)
    options.check_generator(generator)
    options.check_duration(duration)
    sampling = given_sampling(context)
    target = out or Path("tagxai-out", f"{unique_slug(prompt)}-edit-{seed}")
    storage.check_claim(target, SCHEMA, force=force)
    with display.hushed(quiet), stages() as stage:
        stage(f"loading {generator}")
        model = options.load_model(generator, device, dtype)
        check_sampling(model.sampling_settings(), sampling, f"generator {model.name!r}")
        options.check_fits(model, duration)
        found = make_edit(
            prompt,
            gains,
            generator=model,
            duration=duration,
            seed=seed,
            repeats=repeats,
            on_progress=stage("generating"),
            **sampling,
        )
        stage("writing the report")
        from tagxai.report import write_report

        with storage.claimed(target, SCHEMA, force=force) as folder, storage.whole_folder(folder, earlier) as new:
            found.write(new)
            write_report(new)
    with display.hushed(quiet):
        _print(found)
        display.out().print(Text(str(target / "report.html")), soft_wrap=True)
    if open_page:
        show_in_browser(target)


def parse_gains(texts: list[str]) -> dict[str, float]:
    """WORDS=FACTOR texts as factors by words. Raises TagxaiError."""
    gains: dict[str, float] = {}
    for text in texts:
        words, sign, factor = text.rpartition("=")
        try:
            if not (sign and words.strip()):
                raise ValueError(text)
            value = float(factor)
        except ValueError:
            raise TagxaiError(f"--gain takes WORDS=FACTOR, such as 'rain falls=0.3', not {text!r}") from None
        if words.strip() in gains:
            raise TagxaiError(f"--gain is given twice for {words.strip()!r}; give each words one gain")
        gains[words.strip()] = value
    return gains


def _print(found: Edit) -> None:
    table = display.plain_table("seed", "level", "what a detector hears")
    for take in found.takes:
        table.add_row(str(take.plain.seed), f"{take.level_change:+.1f} dB", take.change or "no detector listened")
    display.out().print(table)
