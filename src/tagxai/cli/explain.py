"""`tagxai explain`, and what looks at a saved explanation again: `show` and `report`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from tagxai import storage
from tagxai.attribution import Attribution
from tagxai.cli import display, options
from tagxai.errors import TagxaiError
from tagxai.explaining import Explanation, Interval, listen, make_method

if TYPE_CHECKING:
    from tagxai.words import Unit

By = Literal["word", "phrase", "token"]

ByOption = Annotated[By, typer.Option("--by", help="Score words, noun phrases, or the model's own tokens.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print explanation.json on stdout instead of the table.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder written by [bold]tagxai explain[/].")]


def register(app: typer.Typer) -> None:
    app.command(
        epilog='Examples: [bold]tagxai explain "a dog barks while rain falls" --interval 1.0:2.5[/]\n\n'
        '[bold]tagxai explain "a siren" --method cross_attention --set layer=-1 --out OUT[/]\n\n'
        '[bold]tagxai explain "a siren" --generator musicgen:facebook/musicgen-small --duration 4[/]'
    )(explain)
    app.command(epilog="Example: [bold]tagxai show OUT --interval 0:1.5[/]")(show)
    app.command(epilog="Example: [bold]tagxai report OUT[/]")(report)


def explain(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the audio shall be.")],
    method: Annotated[str, typer.Option("--method", "-m", metavar="NAME", help="How to explain it.")] = "audiogenx",
    generator: options.GeneratorOption = "tiny",
    duration: options.DurationOption = None,
    seed: options.SeedOption = 0,
    interval: options.IntervalOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Default: tagxai-out/PROMPT-METHOD-SEED, with dashes."),
    ] = None,
    audio_repeats: Annotated[
        int, typer.Option(min=0, max=99, help="Factual and counterfactual clips to make of each; 0 makes none.")
    ] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Of the method; [bold]tagxai methods NAME[/] has all."),
    ] = None,
    guidance_scale: options.GuidanceOption = None,
    top_k: options.TopKOption = None,
    temperature: options.TemperatureOption = None,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    memory_check: options.MemoryOption = True,
    by: ByOption = "word",
    as_json: JsonOption = False,
) -> None:
    """Make audio from a prompt and say which words made which seconds of it."""
    started = perf_counter()
    options.check_prompt(prompt)
    chosen = make_method(method, options.parse_settings(settings or []))
    options.check_generator(generator)
    options.check_duration(duration)
    intervals = options.parse_intervals(interval or [], duration)
    sampling = options.sampling_options(guidance_scale, top_k, temperature)
    target = out or Path("tagxai-out", f"{options.unique_slug(prompt)}-{method}-{seed}")

    with options.output_folder(target) as folder:
        with display.stages() as stage:
            stage(f"loading {generator}")
            model = options.load_model(generator, device, dtype)
            chosen.check_supported(model)
            options.check_fits(model, duration, intervals)
            options.check_memory(model, prompt, duration, chosen, refuse=memory_check)
            clip = model.generate(prompt, duration=duration, seed=seed, on_progress=stage("generating"), **sampling)
            for start, end in intervals:
                clip.frame_range(start, end)
            try:
                attribution = chosen.attribute(model, clip, on_progress=stage(f"explaining with {method}"))
            except ValueError as error:
                if not settings:
                    raise
                given = " ".join(settings)  # most likely to blame: a method need not check every value it is given
                raise TagxaiError(f"method {method!r} cannot work with --set {given}: {error}") from None
            tracks = (
                listen(model, attribution, repeats=audio_repeats, on_progress=stage("making audio to compare"))
                if audio_repeats
                else ()
            )
            stage("writing the report")
            Explanation(attribution, intervals, tracks).save(folder)
            _write_pictures(folder)
        _print(folder, attribution, intervals, by, as_json)
    if not as_json:
        _print_files(folder)
        display.note(f"{perf_counter() - started:.1f} s in all")


def show(
    folder: FolderArgument,
    interval: options.IntervalOption = None,
    by: ByOption = "word",
    as_json: JsonOption = False,
) -> None:
    """Print the scores of a saved explanation again."""
    saved = Explanation.load(folder)
    asked = options.parse_intervals(interval or [], None)
    _print(folder, saved.attribution, asked or saved.intervals, by, as_json)


def report(folder: FolderArgument) -> None:
    """Make report.html and heatmap.png of a saved explanation again."""
    for file in _write_pictures(folder):
        display.out().print(Text(str(file)), soft_wrap=True)


def _write_pictures(folder: Path) -> list[Path]:
    from tagxai.report import write_report

    return write_report(folder)


def _units(attribution: Attribution, by: By) -> Sequence[Unit]:
    return {"word": attribution.words, "phrase": attribution.phrases, "token": attribution.tokens}[by]()


def _print(folder: Path, attribution: Attribution, intervals: Sequence[Interval], by: By, as_json: bool) -> None:
    for start, end in intervals:
        attribution.generation.frame_range(start, end)
    if as_json:
        content = storage.read_json(folder / "explanation.json")
        typer.echo(json.dumps({"folder": str(folder), **content}, ensure_ascii=False, indent=2))
        return
    console, clip = display.out(), attribution.generation
    title = Text.assemble(
        (display.printable(clip.prompt), "bold"),
        (f"\n{attribution.method} on {clip.generator}, {clip.duration:g} s, seed {clip.seed}", "dim"),
    )
    console.print(title)
    console.print(display.score_table(attribution, _units(attribution, by), intervals, console))


_FILES = {
    "report.html": "all of it on one page: open it in a browser",
    "original.flac": "the clip that is explained",
    "factual*.flac": "made again with the words that the explanation keeps",
    "counterfactual*.flac": "made again without them",
    "unconditional.flac": "made with no prompt",
    "heatmap.png": "words by seconds over the spectrogram",
    "explanation.json": "words, scores, settings, seed, versions, cost",
    "scores.safetensors": "scores and codes as tensors",
}


def _print_files(folder: Path) -> None:
    table = display.plain_table("file", "what it is")
    for pattern, text in _FILES.items():
        for file in sorted(folder.glob(pattern)):
            table.add_row(Text(str(file), overflow="fold"), text)
    display.out().print(table)
