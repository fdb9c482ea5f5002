"""`tagxai ask`: further questions about the clip of a saved explanation, put to its model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tagxai.cli import options
from tagxai.cli.answers import Asked, is_denoised, mean_per_unit, print_frames, print_units
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
from tagxai.scoring import (
    Operator,
    interval_difference,
    leave_one_out_values,
    prompt_and_history,
    replacement_contrast,
    words_and_beginning,
)


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]tagxai ask OUT[/]  how much do the words matter at all?\n\n"
        "[bold]tagxai ask OUT --instead dog=cat --interval 0:1.5[/]  why dog, and not cat?\n\n"
        "[bold]tagxai ask OUT --interval 0:1.5 --against 1.5:3[/]  which words matter here, and not there?"
    )(ask)


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
        Operator, typer.Option("--operator", help="How a word is removed, where words are compared.")
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
        raise TagxaiError("--operator and --by only apply with --against, and without --instead")
    clip = saved_clip(folder)
    here = frames_of(clip, interval, "--interval")
    there = frames_of(clip, against, "--against") if against else None
    scored = "log-likelihood of the clip's latents" if is_denoised(clip) else "log-probability of the clip's codes"
    with stages() as stage, kept_scores(folder):
        stage("loading the model")
        model = model_of(clip, generator, device)
        on_progress = stage("scoring")
        if replacements:
            contrast = replacement_contrast(model, clip, replacements)
            title = f"{scored}, minus that under: {contrast.other}"
            question = "Why " + " and ".join(f"{word}, and not {other}" for word, other in replacements.items()) + "?"
            columns = {"difference": contrast.difference.mean(0).tolist()}
        elif there is None and clip.given:
            parts = words_and_beginning(model, clip)
            title = (
                "log-probability of the generated codes: from their own past, and what the given sound and words add"
            )
            question = "How much does the given beginning matter, beside the words?"
            columns = {name: part.mean(0).tolist() for name, part in parts._asdict().items()}
        elif there is None:
            shares = prompt_and_history(model, clip)
            question, without = "How much do the words matter, beside the preceding audio?", "history"
            title = f"{scored}: from the preceding audio alone, and what the prompt adds"
            if is_denoised(clip):
                question, without = "How much do the words matter?", "no prompt"
                title = f"{scored}: with no prompt, and what the prompt adds"
            columns = {without: shares.history.mean(0).tolist(), "prompt": shares.prompt.mean(0).tolist()}
        else:
            units = units_of(clip, by)
            table = score_left_out(model, clip, units, operator, on_progress)
    if there is None or replacements:
        question += f" ({interval} s)" if interval else ""
        print_frames(Asked(folder, clip, question, title, model.unit, as_json), columns, here, there)
        return
    values = leave_one_out_values(table.masks, table.log_prob)
    rows = {"here": mean_per_unit(values, here), "there": mean_per_unit(values, there)}
    rows["difference"] = interval_difference(values, here, there).tolist()
    question = f"Why from {interval} s, and not from {against} s? (by {by}, {operator})"
    meaning = f"what each {by} adds to the {scored}"
    print_units(Asked(folder, clip, question, meaning, model.unit, as_json), units, rows)


def _parse_replacements(pairs: Sequence[str]) -> dict[str, str]:
    replacements: dict[str, str] = {}
    for pair in pairs:
        word, sign, other = (side.strip() for side in pair.partition("="))
        if not (word and sign and other):
            raise TagxaiError(f"--instead takes WORD=OTHER, such as dog=cat, not {pair!r}")
        if word in replacements:
            raise TagxaiError(f"--instead replaces {word!r} twice; ask about one other word at a time")
        replacements[word] = other
    return replacements
