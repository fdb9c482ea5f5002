"""`tagxai explain`: make a clip, explain it by one or several methods, and write it all into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display, options, parsing
from tagxai.cli.progress import stages
from tagxai.cli.saved import ByOption
from tagxai.cli.show import JsonOption, print_scores, write_pictures
from tagxai.cli.slugs import unique_slug
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError, error_sentence
from tagxai.explaining.comparison import Comparison, method_folder
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.listening import listen


def register(app: typer.Typer) -> None:
    app.command(
        epilog='Examples: [bold]tagxai explain "a dog barks while rain falls" --interval 1.0:2.5[/]\n\n'
        '[bold]tagxai explain "a siren" --method cross_attention --set layers=-1 --out OUT[/]\n\n'
        '[bold]tagxai explain "a siren" --method audiogenx,captum:KernelShap --set audiogenx.epochs=20[/]\n\n'
        '[bold]tagxai explain "a siren" --generator musicgen:facebook/musicgen-small --duration 4[/]'
    )(explain)


def explain(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="A description of the audio.")],
    method: Annotated[
        str,
        typer.Option("--method", "-m", metavar="NAME[,NAME]", help="Methods that explain it; several are compared."),
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
        int, typer.Option(min=0, max=99, help="Factual and counterfactual clips of each kind; 0: none.")
    ] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="[METHOD.]KEY=VALUE", help="A setting; [bold]tagxai methods NAME[/] lists all."),
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
    names = parsing.parse_methods(method)
    chosen = parsing.make_methods(names, parsing.parse_settings(settings or []))
    options.check_generator(generator)
    options.check_duration(duration)
    intervals = parsing.parse_intervals(interval or [], duration)
    sampling = options.sampling_options(guidance_scale, top_k, temperature)
    ending = "-".join([*map(method_folder, names), str(seed)])
    target = out or Path("tagxai-out", f"{unique_slug(prompt)}-{ending}")

    with storage.new_folder(target) as folder:
        with stages() as stage:
            stage(f"loading {generator}")
            model = options.load_model(generator, device, dtype)
            if len(names) == 1:
                chosen[names[0]].check_supported(model)
            options.check_fits(model, duration, intervals)
            options.warn_about_prompt(model, prompt)
            options.check_memory(model, prompt, duration, *chosen.values(), refuse=memory_check)
            generating = perf_counter()
            clip = model.generate(prompt, duration=duration, seed=seed, on_progress=stage("generating"), **sampling)
            generating = perf_counter() - generating
            for start, end in intervals:
                clip.frame_range(start, end)

            def explain_with(name: str) -> Explanation:
                attribution = _attribute(chosen[name], model, clip, settings or [], stage(f"explaining with {name}"))
                listening = stage(f"generating audio to compare, by {name}") if audio_repeats else None
                tracks = listen(model, attribution, repeats=audio_repeats, on_progress=listening) if listening else ()
                return Explanation(attribution, intervals, tracks)

            saved: Explanation | Comparison
            saved = explain_with(names[0]) if len(names) == 1 else _compare(names, explain_with, generating)
            stage("writing the report")
            saved.save(folder)
            write_pictures(folder)
        print_scores(folder, saved, intervals, by, as_json)
    if not as_json:
        _print_files(folder)
        display.note(f"{perf_counter() - started:.1f} s in total")
    if isinstance(saved, Comparison) and saved.failures:
        for name, error in saved.failures.items():
            display.complain(f"method {name!r} failed: {error}")
        raise typer.Exit(1)


def _attribute(
    method: Method, model: Generator, clip: Generation, settings: Sequence[str], on_progress: OnProgress
) -> Attribution:
    try:
        return method.attribute(model, clip, on_progress=on_progress)
    except ValueError as error:
        if not settings:
            raise
        given = " ".join(settings)  # the likely cause: a method need not check every value
        raise TagxaiError(f"method {method.name!r} cannot work with --set {given}: {error}") from None


def _compare(names: Sequence[str], explain_with: Callable[[str], Explanation], generating: float) -> Comparison:
    """The explanations of all methods that give one; a method that fails does not end the others."""
    explanations, failures = {}, {}
    for name in names:
        try:
            explanations[name] = explain_with(name)
        except Exception as error:  # a method may be anyone's plugin
            failures[name] = error_sentence(error)
    return Comparison(explanations, failures, generating)


_FILES = {
    "report.html": "everything on one page: open it in a browser",
    "original.flac": "the clip that is explained",
    "factual*.flac": "generated again with the words that the explanation keeps",
    "counterfactual*.flac": "generated again without them",
    "unconditional.flac": "generated with no prompt",
    "heatmap.png": "words by seconds over the spectrogram",
    "heatmaps.png": "words by seconds, by each method",
    "comparison.json": "methods, agreement and failures",
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
