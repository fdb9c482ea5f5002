"""`tagxai ask` and `tagxai effects`: further questions about the clip of a saved explanation, put to its model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tagxai.cli import display, options
from tagxai.cli.explain import By, ByOption, FolderArgument, load
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Interval
from tagxai.scoring import (
    NEEDS_ATTENTION,
    Operator,
    ScoreTable,
    cached,
    effects,
    interval_difference,
    leave_one_out,
    leave_one_out_values,
    prompt_and_history,
    replacement_contrast,
    score,
)
from tagxai.text import words

if TYPE_CHECKING:
    from tagxai.text.words import Unit

ModelOption = Annotated[
    str | None,
    typer.Option("--generator", "-g", metavar="NAME[:SOURCE]", help="If the model has moved since the clip was made."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, with every frame of it.")]
OneIntervalOption = Annotated[
    str | None, typer.Option("--interval", "-i", metavar="START:END", help="These seconds, not the whole clip.")
]
SLICES = 10  # rows of a table over time


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]tagxai ask OUT[/]  how much do the words matter, beside the audio before?\n\n"
        "[bold]tagxai ask OUT --instead dog=cat --interval 0:1.5[/]  why dog, and not cat?\n\n"
        "[bold]tagxai ask OUT --interval 0:1.5 --against 1.5:3[/]  which words matter here, and not there?"
    )(ask)
    app.command(
        "effects",
        epilog="Examples: [bold]tagxai effects OUT[/]\n\n"
        "[bold]tagxai effects OUT --interval 1:2.5 --by phrase --direct attention[/]",
    )(show_effects)


def ask(
    folder: FolderArgument,
    replace: Annotated[
        list[str] | None,
        typer.Option("--instead", metavar="WORD=OTHER", help="Why WORD and not OTHER? May be repeated."),
    ] = None,
    interval: OneIntervalOption = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="START:END", help="Why in the --interval, and not in these seconds?"),
    ] = None,
    operator: Annotated[
        Operator, typer.Option("--operator", help="How a word is taken away where words are compared.")
    ] = "value",
    by: ByOption = "word",
    generator: ModelOption = None,
    device: options.DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Why this word and not another, why here and not there; with no option, how much the words matter at all."""
    replacements = _parse_replacements(replace or [])
    if against and not interval:
        raise TagxaiError("--against needs an --interval to compare with, such as --interval 0:1.5 --against 1.5:3")
    if (replacements or not against) and (operator, by) != ("value", "word"):
        raise TagxaiError("--operator and --by are for --against without --instead: no other answer is told by words")
    clip = _clip(folder)
    here = _frames(clip, interval, "--interval")
    there = _frames(clip, against, "--against") if against else None
    with display.stages() as stage, _cache(folder):
        stage("loading the model")
        model = _model(clip, generator, device)
        stage("scoring")
        if replacements:
            contrast = replacement_contrast(model, clip, replacements)
            title = f"log-probability of the clip's codes, more than under: {contrast.other}"
            columns = {"difference": contrast.difference.mean(0).tolist()}
        elif there is None:
            parts = prompt_and_history(model, clip)
            title = "log-probability of the clip's codes: by the audio before alone, and what the prompt adds"
            columns = {"history": parts.history.mean(0).tolist(), "prompt": parts.prompt.mean(0).tolist()}
        else:
            units = _units(clip, by)
            table = _left_out(model, clip, units, operator, stage("scoring"))
    if there is not None and not replacements:
        values = leave_one_out_values(table.masks, table.log_prob)
        rows = {"here": _means(values, here), "there": _means(values, there)}
        rows["difference"] = interval_difference(values, here, there).tolist()
        _print_units(clip, units, rows, f"what each {by} adds to the log-probability of a code", as_json)
    else:
        _print_frames(clip, columns, here, there, title, as_json)


def show_effects(
    folder: FolderArgument,
    interval: OneIntervalOption = None,
    direct: Annotated[
        Operator, typer.Option("--direct", help="How a word is cut off, and nothing else changed.")
    ] = "value",
    total: Annotated[Operator, typer.Option("--total", help="How a word is taken away wholly.")] = "delete",
    by: ByOption = "word",
    generator: ModelOption = None,
    device: options.DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Tell what each word does itself, by cross-attention, from what it does through others in the text encoder."""
    if direct == "delete":
        raise TagxaiError("--direct takes value, gate, attention or null: to delete a word's text is its total effect")
    clip = _clip(folder)
    frames = _frames(clip, interval, "--interval")
    units = [unit for unit in _units(clip, by) if not unit.special]
    if not units:
        raise TagxaiError(f"the prompt {clip.prompt!r} has no word that could be taken away")
    with display.stages() as stage, _cache(folder):
        stage("loading the model")
        model = _model(clip, generator, device)
        tables = [
            _left_out(model, clip, units, operator, stage(f"scoring by {operator}")) for operator in (direct, total)
        ]
    found = effects(*tables)
    rows = {
        "total": _means(found.total, frames),
        "direct": _means(found.direct, frames),
        "through others": _means(found.indirect, frames),
    }
    _print_units(
        clip, units, rows, f"lost without each {by}: total ({total}), directly ({direct}), and the rest", as_json
    )


# -- asking ----------------------------------------------------------------------------------------------------------


def _parse_replacements(pairs: Sequence[str]) -> dict[str, str]:
    replacements = {}
    for pair in pairs:
        word, sign, other = (part.strip() for part in pair.partition("="))
        if not (word and sign and other):
            raise TagxaiError(f"--instead takes WORD=OTHER, such as dog=cat, not {pair!r}")
        if word in replacements:
            raise TagxaiError(f"--instead replaces {word!r} twice; ask about one other word at a time")
        replacements[word] = other
    return replacements


def _clip(folder: Path) -> Generation:
    """The clip of an explanation, or the one that the methods of a comparison explain."""
    saved = load(folder)
    return saved.generation if isinstance(saved, Comparison) else saved.attribution.generation


def _frames(clip: Generation, text: str | None, option: str) -> range:
    interval: Interval | tuple[None, None] = (None, None)
    if text is not None:
        (interval,) = options.parse_intervals([text], None, option)
    return clip.frame_range(*interval)


def _cache(folder: Path) -> Any:
    """Beside the explanation, where that can be written to: asking again costs nothing."""
    return cached(folder / "scores") if os.access(folder, os.W_OK) else nullcontext()


def _model(clip: Generation, spec: str | None, device: options.Device) -> Generator:
    """The model that made the clip; refused where it is plainly another."""
    if spec is not None:
        options.check_generator(spec)
    model = options.load_model(spec or clip.generator, device)
    same_audio = (model.timeline(clip.duration), model.sample_rate) == (clip.timeline, clip.sample_rate)
    if not same_audio or model.encode_prompt([clip.prompt]).tokens[0] != clip.tokens:
        raise TagxaiError(
            f"generator {spec or clip.generator!r} is not the model that made this clip, {clip.generator!r}: its codes "
            "or its tokens are others"
        )
    return model


def _units(clip: Generation, by: By) -> Sequence[Unit]:
    split = {"word": words.words, "phrase": words.phrases, "token": words.tokens}[by]
    return split(clip.prompt, clip.spans, clip.tokens)


def _left_out(
    model: Generator, clip: Generation, units: Sequence[Unit], operator: Operator, on_progress: OnProgress
) -> ScoreTable:
    if operator in NEEDS_ATTENTION and "attention" not in model.offers:
        raise TagxaiError(f"operator {operator!r} needs attention, which generator {model.name!r} does not offer")
    return score(model, clip, units, leave_one_out(len(units)), operator=operator, on_progress=on_progress)


# -- answering -------------------------------------------------------------------------------------------------------


def _means(values: Any, frames: range) -> list[float]:
    return values[..., frames.start : frames.stop].mean((1, 2)).tolist()


def _seconds(clip: Generation, frames: range) -> dict[str, float]:
    return {"start": frames.start / clip.frame_rate, "end": frames.stop / clip.frame_rate}


def _print_units(
    clip: Generation, units: Sequence[Unit], columns: Mapping[str, list[float]], title: str, as_json: bool
) -> None:
    if as_json:
        rows = [
            {**asdict(unit), **dict(zip(columns, row, strict=True))}
            for unit, *row in zip(units, *columns.values(), strict=True)
        ]
        _print_json({"prompt": clip.prompt, "meaning": title, "units": rows})
        return
    _print_title(clip, title)
    labels = [(unit.text, unit.function or unit.special) for unit in units]
    display.out().print(display.bar_table("word", labels, columns, display.out()))


def _print_frames(
    clip: Generation,
    columns: Mapping[str, list[float]],
    here: range,
    there: range | None,
    title: str,
    as_json: bool,
) -> None:
    """Means over codebooks in slices of time, or in the two intervals and their difference."""
    parts = [part for part in (here, there) if part is not None]
    means = [{name: _mean(values, part) for name, values in columns.items()} for part in parts]
    if as_json:
        answers = [
            {**_seconds(clip, part), "mean": mean, "frames": {n: v[part.start : part.stop] for n, v in columns.items()}}
            for part, mean in zip(parts, means, strict=True)
        ]
        _print_json({"prompt": clip.prompt, "meaning": title, "intervals": answers})
        return
    size = -(-len(here) // SLICES)
    shown = parts if there is not None else [here[i : i + size] for i in range(0, len(here), size)]
    labels = [("{start:.3g}-{end:.3g} s".format(**_seconds(clip, part)), False) for part in shown]
    rows = {name: [_mean(values, part) for part in shown] for name, values in columns.items()}
    labels.append(("difference" if there is not None else "all", False))
    for name, column in rows.items():
        column.append(column[0] - column[1] if there is not None else means[0][name])
    _print_title(clip, title)
    display.out().print(display.bar_table("time", labels, rows, display.out()))


def _mean(values: Sequence[float], frames: range) -> float:
    return sum(values[frame] for frame in frames) / len(frames)


def _print_title(clip: Generation, title: str) -> None:
    display.out().print(
        Text.assemble((display.printable(clip.prompt), "bold"), (f"\n{display.printable(title)}; nats a code", "dim"))
    )


def _print_json(content: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
