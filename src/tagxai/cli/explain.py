"""`tagxai explain`: make clips, explain them by one or several methods, and write it all into folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display, lists, options, parsing
from tagxai.cli.answering import Question, is_explained
from tagxai.cli.export import OpenOption, show_in_browser
from tagxai.cli.lists import Job, Work
from tagxai.cli.progress import stages
from tagxai.cli.sampling import EPILOG, SamplingCommand, check_sampling, given_sampling
from tagxai.cli.saved import ByOption
from tagxai.cli.show import JsonOption, print_scores
from tagxai.cli.slugs import unique_name
from tagxai.contract import saved_folder
from tagxai.contract.continuing import Sound, read_sound
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request, check_prompt
from tagxai.contract.values import Conditioning, Generation
from tagxai.errors import TagxaiError
from tagxai.explaining.comparison import Comparison, method_folder
from tagxai.explaining.default_method import default_method
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.hearing import heard_sentence
from tagxai.explaining.identifying import model_identity
from tagxai.explaining.loading import make_methods, method_names
from tagxai.explaining.prompts import encode
from tagxai.explaining.suiting import suiting
from tagxai.registering.registry import registry
from tagxai.text.lists import read_prompts
from tagxai.text.words import By


def register(app: typer.Typer) -> None:
    app.command(
        cls=SamplingCommand,
        epilog='Examples: [bold]tagxai explain "a dog barks while rain falls" --interval 1.0:2.5[/]\n\n'
        '[bold]tagxai explain "a siren" --method cross_attention --set layers=-1 --out OUT[/]\n\n'
        '[bold]tagxai explain "a siren" --method audiogenx,captum:KernelShap --set audiogenx.epochs=20[/]\n\n'
        '[bold]tagxai explain "a siren" --generator musicgen:facebook/musicgen-small --duration 4[/]\n\n'
        '[bold]tagxai explain "rain falls" --continue dog.wav --keep 1[/]\n\n'
        "[bold]tagxai explain --prompts captions.csv --limit 20 --out OUT[/]\n\n" + EPILOG,
    )(explain)


def explain(
    context: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="A description of the audio; or give --prompts.")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", "-p", metavar="FILE", help="A .csv, .tsv or .txt with a prompt on each line."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Take only the first prompts of FILE.")] = None,
    continued: Annotated[
        Path | None,
        typer.Option("--continue", metavar="SOUND", help="A sound file that the clip continues; the rest is made."),
    ] = None,
    keep: Annotated[
        float | None, typer.Option("--keep", metavar="SECONDS", help="Continue only so much of the beginning of SOUND.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            *("--method", "-m"),
            metavar="NAME[,NAME]",
            help="Methods that explain it; several are compared. The default depends on the model.",
        ),
    ] = None,
    generator: options.GeneratorOption = "tiny",
    duration: options.DurationOption = None,
    seed: options.SeedOption = 0,
    interval: options.IntervalOption = None,
    out: Annotated[Path | None, options.out_option("Default: tagxai-out/PROMPT-METHOD-SEED, or FILE's name.")] = None,
    force: options.ForceOption = False,
    audio_repeats: Annotated[
        int, typer.Option(min=0, max=99, help="Factual and counterfactual clips of each kind; 0: none.")
    ] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="[METHOD.]KEY=VALUE", help="A setting; [bold]tagxai methods NAME[/] lists all."),
    ] = None,
    heatmap: options.HeatmapOption = False,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    memory_check: options.MemoryOption = True,
    by: ByOption = "word",
    as_json: JsonOption = False,
    quiet: options.QuietOption = False,
    open_page: OpenOption = False,
) -> None:
    """Make audio from a prompt, or from each of a list, and say which words made which seconds of it."""
    if (prompt is None) == (prompts is None):
        raise TagxaiError("explain takes either a PROMPT or --prompts FILE, such as tagxai explain 'a dog barks'")
    if prompt is not None:
        check_prompt(prompt)
    elif as_json:
        raise TagxaiError("--json is for one prompt; those of --prompts FILE each have their explanation.json")
    if limit is not None and prompts is None:
        raise TagxaiError("--limit only applies with --prompts FILE")
    sound = _sound(continued, keep, prompts)
    given = list(settings or ())
    if method is None:
        options.check_generator(generator)
        method, defaults = default_method(registry().generator(generator.partition(":")[0]))
        given = [*(f"{key}={value}" for key, value in defaults.items()), *given]
    names = method_names(method)
    chosen = make_methods(names, parsing.parse_settings(given))
    options.check_generator(generator)
    added, sentences = suiting(chosen, parsing.parse_settings(given), registry().generator(generator.partition(":")[0]))
    if added:
        given += [f"{key}={value}" for key, value in added.items()]
        chosen = make_methods(names, parsing.parse_settings(given))
    options.check_duration(duration)
    question = Question(
        chosen, tuple(given), tuple(parsing.parse_intervals(interval or [], duration)), audio_repeats, heatmap
    )
    sampling = given_sampling(context)

    def load() -> Generator:
        for sentence in sentences:
            display.note(sentence)
        model = options.load_model(generator, device, dtype)
        check_sampling(model.sampling_settings(), sampling, f"generator {model.name!r}")
        if len(names) == 1:
            chosen[names[0]].check_supported(model)
        options.check_fits(model, duration, question.intervals)
        return model

    def check(model: Generator, encoded: Conditioning) -> None:
        options.check_memory(model, encoded, duration, *chosen.values(), refuse=memory_check)

    if prompts is not None:
        listed = read_prompts(prompts)[:limit]
        target = out or Path("tagxai-out", prompts.stem)
        storage.input_files(target, [lists.INDEX], [prompts])
        storage.check_claim(target, OF_LIST, force=force)

        def jobs(model: Generator) -> list[Job]:
            identity, key = model_identity(model), question.key
            return [Job(each, seed, duration, sampling, identity, key) for each in listed]

        with display.hushed(quiet):
            _explain_list(jobs, question, load, check, target, force)
        return
    assert prompt is not None
    request = Request(prompt, duration, seed, settings=sampling)
    if out is None:
        continuing = [continued and str(continued), keep]
        unusual = [generator, duration, sampling, settings, interval, audio_repeats, dtype, device, *continuing]
        name = unique_name(prompt, [*map(method_folder, names), str(seed)], unusual, USUAL)
        out = Path("tagxai-out", name)
    storage.check_claim(out, *saved_folder.KINDS, force=force)
    with display.hushed(quiet):
        saved = _explain_one(request, sound, question, load, check, out, force, generator, by, as_json)
    if open_page:
        show_in_browser(out)
    if isinstance(saved, Comparison) and saved.failures:
        for name, error in saved.failures.items():
            display.complain(f"method {name!r} failed: {error}")
        raise typer.Exit(1)


OF_LIST = "tagxai.explanations"
USUAL: list[Any] = ["tiny", None, {}, None, None, 1, "auto", "auto", None, None]
"""Usual values of the options that the default folder does not name; with any other, it has a name of its own."""

Load = Callable[[], Generator]
Check = Callable[[Generator, Conditioning], None]


def _sound(path: Path | None, keep: float | None, prompts: Path | None) -> Sound | None:
    """What `--continue` and `--keep` ask for."""
    if path is None:
        if keep is not None:
            raise TagxaiError("--keep only applies with --continue SOUND")
        return None
    if prompts is not None:
        raise TagxaiError("--continue is for one PROMPT, not for those of --prompts FILE")
    if keep is not None and not (isfinite(keep) and keep > 0):
        raise TagxaiError(f"--keep takes a positive number of seconds, not {keep:g}")
    return read_sound(path, keep)


def _explain_one(
    request: Request,
    sound: Sound | None,
    question: Question,
    load: Load,
    check: Check,
    target: Path,
    force: bool,
    generator: str,
    by: By,
    as_json: bool,
) -> Explanation | Comparison:
    started = perf_counter()
    with storage.claimed(target, *saved_folder.KINDS, force=force) as folder:
        with stages() as stage:
            stage(f"loading {generator}")
            model = load()
            encoded = encode(model, request.prompt)
            options.warn_about_prompt(model, request.prompt, encoded)
            check(model, encoded)
            beginning = None if sound is None else model.encode_audio(*sound)
            request = replace(request, conditioning=encoded, beginning=beginning)
            generating = perf_counter()
            (clip,) = model.generate_many([request], on_progress=stage("generating"))
            saved = question.answer(model, clip, folder, stage, perf_counter() - generating, force=force)
        print_scores(folder, saved, question.intervals, by, as_json)
    if not as_json:
        display.out().print(Text(heard_sentence(model, _clip_of(saved))), soft_wrap=True)
        _print_files(folder)
        display.note(f"{perf_counter() - started:.1f} s in total")
    return saved


def _explain_list(
    jobs: Callable[[Generator], list[Job]], question: Question, load: Load, check: Check, target: Path, force: bool
) -> None:
    """A folder for each prompt; clips are made together, and existing explanations are kept."""

    def finish(model: Generator, job: Job, clip: Generation, seconds: float) -> None:
        question.answer_in_list(model, clip, folder / job.name, seconds)
        display.note(f"line {job.prompt.line}: {heard_sentence(model, clip)}")

    with storage.claimed(target, OF_LIST, force=force) as folder, storage.alone(folder), stages(counted=True) as stage:
        stage("loading the model")
        model = load()
        work = Work(
            is_done=lambda job: is_explained(folder / job.name),
            model=model,
            check=check,
            finish=finish,
            begin=question.batched.explain,
        )
        outcomes = lists.run_all(jobs(model), work, folder, ("folder", lambda job: job.name), stage("prompts"))
    lists.print_summary(outcomes, folder)


def _clip_of(saved: Explanation | Comparison) -> Generation:
    return saved.generation if isinstance(saved, Comparison) else saved.attribution.generation


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
