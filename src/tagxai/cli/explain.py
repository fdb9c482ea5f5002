"""`tagxai explain`, and what looks at a saved explanation again: `show` and `report`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display, options
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError
from tagxai.explaining.comparison import COMPARISON, Comparison, method_folder
from tagxai.explaining.explanation import Explanation, Interval
from tagxai.explaining.listening import listen

if TYPE_CHECKING:
    from tagxai.text.words import Unit

By = Literal["word", "phrase", "token"]

ByOption = Annotated[By, typer.Option("--by", help="Score words, noun phrases, or the model's own tokens.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print explanation.json on stdout instead of the table.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder written by [bold]tagxai explain[/].")]


def register(app: typer.Typer) -> None:
    app.command(
        epilog='Examples: [bold]tagxai explain "a dog barks while rain falls" --interval 1.0:2.5[/]\n\n'
        '[bold]tagxai explain "a siren" --method cross_attention --set layers=-1 --out OUT[/]\n\n'
        '[bold]tagxai explain "a siren" --method audiogenx,captum:KernelShap --set audiogenx.epochs=20[/]\n\n'
        '[bold]tagxai explain "a siren" --generator musicgen:facebook/musicgen-small --duration 4[/]'
    )(explain)
    app.command(epilog="Example: [bold]tagxai show OUT --interval 0:1.5[/]")(show)
    app.command(epilog="Example: [bold]tagxai report OUT[/]")(report)


def explain(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the audio shall be.")],
    method: Annotated[
        str, typer.Option("--method", "-m", metavar="NAME[,NAME]", help="How to explain it; several are compared.")
    ] = "audiogenx",
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
        typer.Option("--set", metavar="[METHOD.]KEY=VALUE", help="Of a method; [bold]tagxai methods NAME[/] has all."),
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
    names = options.parse_methods(method)
    chosen = options.make_methods(names, options.parse_settings(settings or []))
    options.check_generator(generator)
    options.check_duration(duration)
    intervals = options.parse_intervals(interval or [], duration)
    sampling = options.sampling_options(guidance_scale, top_k, temperature)
    ending = "-".join([*map(method_folder, names), str(seed)])
    target = out or Path("tagxai-out", f"{options.unique_slug(prompt)}-{ending}")

    with storage.new_folder(target) as folder:
        with display.stages() as stage:
            stage(f"loading {generator}")
            model = options.load_model(generator, device, dtype)
            if len(names) == 1:
                chosen[names[0]].check_supported(model)
            options.check_fits(model, duration, intervals)
            options.note_doubts(model, prompt)
            options.check_memory(model, prompt, duration, *chosen.values(), refuse=memory_check)
            generating = perf_counter()
            clip = model.generate(prompt, duration=duration, seed=seed, on_progress=stage("generating"), **sampling)
            generating = perf_counter() - generating
            for start, end in intervals:
                clip.frame_range(start, end)

            def explain_with(name: str) -> Explanation:
                attribution = _attribute(chosen[name], model, clip, settings or [], stage(f"explaining with {name}"))
                listening = stage(f"making audio to compare, by {name}") if audio_repeats else None
                tracks = listen(model, attribution, repeats=audio_repeats, on_progress=listening) if listening else ()
                return Explanation(attribution, intervals, tracks)

            saved: Explanation | Comparison
            saved = explain_with(names[0]) if len(names) == 1 else _compare(names, explain_with, generating)
            stage("writing the report")
            saved.save(folder)
            _write_pictures(folder)
        _print(folder, saved, intervals, by, as_json)
    if not as_json:
        _print_files(folder)
        display.note(f"{perf_counter() - started:.1f} s in all")
    if isinstance(saved, Comparison) and saved.failures:
        for name, told in saved.failures.items():
            display.complain(f"method {name!r} failed: {told}")
        raise typer.Exit(1)


def _attribute(
    method: Method, model: Generator, clip: Generation, settings: Sequence[str], on_progress: OnProgress
) -> Attribution:
    try:
        return method.attribute(model, clip, on_progress=on_progress)
    except ValueError as error:
        if not settings:
            raise
        given = " ".join(settings)  # most likely to blame: a method need not check every value it is given
        raise TagxaiError(f"method {method.name!r} cannot work with --set {given}: {error}") from None


def _compare(names: Sequence[str], explain_with: Callable[[str], Explanation], generating: float) -> Comparison:
    """The explanations of all methods that give one; a method that fails must not take the others with it."""
    explanations, failures = {}, {}
    for name in names:
        try:
            explanations[name] = explain_with(name)
        except TagxaiError as error:
            failures[name] = str(error)
        except Exception as error:  # a method may be anyone's plugin
            failures[name] = " ".join(f"{type(error).__name__}: {error}".split())
    return Comparison(explanations, failures, generating)


def show(
    folder: FolderArgument,
    interval: options.IntervalOption = None,
    by: ByOption = "word",
    as_json: JsonOption = False,
) -> None:
    """Print the scores of a saved explanation, or comparison, again."""
    saved = load(folder)
    asked = options.parse_intervals(interval or [], None)
    _print(folder, saved, asked or saved.intervals, by, as_json)


def report(folder: FolderArgument) -> None:
    """Make report.html and the pictures of a saved explanation, or comparison, again."""
    for file in _write_pictures(folder):
        display.out().print(Text(str(file)), soft_wrap=True)


def load(folder: Path) -> Explanation | Comparison:
    return Comparison.load(folder) if (folder / COMPARISON).is_file() else Explanation.load(folder)


def _write_pictures(folder: Path) -> list[Path]:
    from tagxai.report import write_report

    return write_report(folder)


def _units(attribution: Attribution, by: By) -> Sequence[Unit]:
    return {"word": attribution.words, "phrase": attribution.phrases, "token": attribution.tokens}[by]()


def _print(folder: Path, saved: Explanation | Comparison, intervals: Sequence[Interval], by: By, as_json: bool) -> None:
    attributions = (
        {name: each.attribution for name, each in saved.explanations.items()}
        if isinstance(saved, Comparison)
        else {saved.attribution.method: saved.attribution}
    )
    first = next(iter(attributions.values()))
    console, clip = display.out(), first.generation
    for start, end in intervals:
        clip.frame_range(start, end)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **_content(folder, saved)}, ensure_ascii=False, indent=2))
        return
    title = Text.assemble(
        (display.printable(clip.prompt), "bold"),
        (f"\n{', '.join(attributions)} on {clip.generator}, {clip.duration:g} s, seed {clip.seed}", "dim"),
    )
    console.print(title)
    units = _units(first, by)
    if not isinstance(saved, Comparison):
        console.print(display.score_table(first, units, intervals, console))
        return
    for span in [(None, None), *intervals]:
        if span[0] is not None:
            console.print(f"\n{span[0]:g}-{span[1]:g} s")
        columns = {name: attribution.per_unit(units, *span) for name, attribution in attributions.items()}
        console.print(display.columns_table(units, columns, console))
    console.print("\nHow far they agree: rank correlation of words by seconds")
    console.print(display.matrix_table(list(attributions), saved.map_agreement()))
    console.print()
    console.print(display.cost_table(attributions, saved.generation_seconds))


def _content(folder: Path, saved: Explanation | Comparison) -> dict[str, Any]:
    """What the folder's JSON files hold."""
    if not isinstance(saved, Comparison):
        return storage.read_json(folder / "explanation.json")
    each = {name: storage.read_json(folder / method_folder(name) / "explanation.json") for name in saved.explanations}
    return {**storage.read_json(folder / COMPARISON), "explanations": each}


_FILES = {
    "report.html": "all of it on one page: open it in a browser",
    "original.flac": "the clip that is explained",
    "factual*.flac": "made again with the words that the explanation keeps",
    "counterfactual*.flac": "made again without them",
    "unconditional.flac": "made with no prompt",
    "heatmap.png": "words by seconds over the spectrogram",
    "heatmaps.png": "words by seconds, by each method",
    "comparison.json": "methods, agreement, and what failed",
    "*/report.html": "one method's own page, in its own folder",
    "explanation.json": "words, scores, settings, seed, versions, cost",
    "scores.safetensors": "scores and codes as tensors",
}


def _print_files(folder: Path) -> None:
    table = display.plain_table("file", "what it is")
    for pattern, text in _FILES.items():
        for file in sorted(folder.glob(pattern)):
            table.add_row(Text(str(file), overflow="fold"), text)
    display.out().print(table)
