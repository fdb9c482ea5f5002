"""`tagxai effects`: what each word does directly, and what it does through other words."""

from __future__ import annotations

from typing import Annotated

import typer

from tagxai.cli import display, options
from tagxai.cli.answers import Asked, keep_ways, mean_per_unit, print_units
from tagxai.cli.progress import stages
from tagxai.cli.questions import (
    JsonOption,
    ModelOption,
    OneIntervalOption,
    frames_of,
    kept_scores,
    model_of,
    saved_clip,
    score_left_out,
    units_of,
)
from tagxai.cli.saved import ByOption, FolderArgument
from tagxai.errors import TagxaiError
from tagxai.scoring import Operator, effects, ways_in


def register(app: typer.Typer) -> None:
    app.command(
        "effects",
        epilog="Examples: [bold]tagxai effects OUT[/]\n\n"
        "[bold]tagxai effects OUT --interval 1:2.5 --by phrase --direct attention[/]",
    )(show_effects)


def show_effects(
    folder: FolderArgument,
    interval: OneIntervalOption = None,
    direct: Annotated[
        Operator, typer.Option("--direct", help="How a word alone is cut off from the decoder.")
    ] = "value",
    total: Annotated[Operator, typer.Option("--total", help="How a word is removed entirely.")] = "delete",
    by: ByOption = "word",
    generator: ModelOption = None,
    device: options.DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Split each word's effect: what it does directly, through cross-attention, and through others in the encoder."""
    if direct == "delete":
        raise TagxaiError("--direct takes value, gate, attention or null: to delete a word's text is its total effect")
    clip = saved_clip(folder)
    frames = frames_of(clip, interval, "--interval")
    units = [unit for unit in units_of(clip, by) if not unit.special]
    if not units:
        raise TagxaiError(f"the prompt {clip.prompt!r} has no word that could be removed")
    with stages() as stage, kept_scores(folder):
        stage("loading the model")
        model = model_of(clip, generator, device)
        tables = [
            score_left_out(model, clip, units, operator, stage(f"scoring by {operator}"))
            for operator in (direct, total)
        ]
        several = len(model.ways_in(clip)) > 1
        if several:
            stage("closing one way in at a time")
            ways = ways_in(model, clip)
            keep_ways(folder, clip, ways)
    found = effects(*tables)
    rows = {
        "total": mean_per_unit(found.total, frames),
        "direct": mean_per_unit(found.direct, frames),
        "through others": mean_per_unit(found.indirect, frames),
    }
    title = f"lost without each {by}: total ({total}), directly ({direct}), and the rest"
    question = f"What does each {by} do itself, and through others?" + (f" ({interval} s)" if interval else "")
    print_units(Asked(folder, clip, question, title, model.unit, as_json), units, rows)
    if several and not as_json:
        said = ", ".join(f"{way} {share:.0%}" for way, share in ways.shares().items())
        display.note(f"What is lost where nothing is said by one way into the model alone, as shares: {said}.")
