"""`tagxai show` and `tagxai report`: a saved explanation, or comparison, printed and drawn again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display, options, parsing
from tagxai.cli.saved import ByOption, FolderArgument, attributions_of
from tagxai.contract import saved_folder
from tagxai.contract.saved_folder import COMPARISON
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation, Interval
from tagxai.explaining.kept_scores import KeptScores, kept_scores
from tagxai.explaining.saved import load_saved
from tagxai.scoring import by_stream
from tagxai.text import words
from tagxai.text.printable import printable
from tagxai.text.words import By

JsonOption = Annotated[bool, typer.Option("--json", help="Print explanation.json on stdout instead of the table.")]
LevelsOption = Annotated[
    bool, typer.Option("--levels", help="When in denoising each word acts: a column for each noise level, from noise.")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: [bold]tagxai show OUT --interval 0:1.5[/]")(show)
    app.command(epilog="Example: [bold]tagxai report OUT[/]")(report)


def show(
    folder: FolderArgument,
    interval: options.IntervalOption = None,
    by: ByOption = "word",
    levels: LevelsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the scores of a saved explanation, or comparison, again."""
    if levels:
        if as_json or interval:
            raise TagxaiError("--levels prints a table of the whole clip; leave out --json and --interval")
        print_levels(load_saved(folder), by)
        return
    asked = parsing.parse_intervals(interval or [], None)
    kept = kept_scores(folder, asked) if by == "word" or as_json else None
    if kept is not None and as_json:
        display.print_json({"folder": str(folder), **storage.read_json(folder / saved_folder.EXPLANATION)})
        return
    if kept is not None:
        _print_kept(kept, asked or list(kept.intervals))
        return
    saved = load_saved(folder)
    print_scores(folder, saved, asked or saved.intervals, by, as_json)


def report(folder: FolderArgument, heatmap: options.HeatmapOption = False) -> None:
    """Make report.html of a saved explanation, or comparison, again."""
    for file in write_pages(folder, heatmap):
        display.out().print(Text(str(file)), soft_wrap=True)


def write_pages(folder: Path, heatmap: bool) -> list[Path]:
    from tagxai.report import write_report

    return write_report(folder, heatmap=heatmap)


def print_levels(saved: Explanation | Comparison, by: By) -> None:
    """The words by noise level. Raises TagxaiError where no method has scores for each of them."""
    console, attributions = display.out(), attributions_of(saved)
    found = {
        name: each for name, each in attributions.items() if len(each.scores) == each.generation.timeline.levels > 1
    }
    if not found:
        raise TagxaiError(
            f"{', '.join(attributions)} has no scores for each noise level; expected a method that has them, "
            "such as occlusion, and a model that denoises latents"
        )
    for name, attribution in found.items():
        clip = attribution.generation
        units = words.units(by, clip.prompt, clip.spans, clip.tokens)
        noise = clip.record["levels"].tolist()
        columns = {f"level {i} ({noise[i]:.3g})": row.tolist() for i, row in enumerate(by_stream(attribution, units))}
        labels = [(unit.text, unit.function or unit.special) for unit in units]
        masks = columns if attribution.is_mask else ()
        console.print(Text(f"{name}: when in denoising each word acts, from noise on", style="bold"))
        console.print(display.bar_table("word", labels, columns, console, masks))


def print_scores(
    folder: Path, saved: Explanation | Comparison, intervals: Sequence[Interval], by: By, as_json: bool
) -> None:
    attributions = attributions_of(saved)
    first = next(iter(attributions.values()))
    console, clip = display.out(), first.generation
    for start, end in intervals:
        clip.frame_range(start, end)
    if as_json:
        display.print_json({"folder": str(folder), **_content(folder, saved)})
        return
    console.print(_heading(attributions, clip))
    units = words.units(by, clip.prompt, clip.spans, clip.tokens)
    if not isinstance(saved, Comparison):
        console.print(display.score_table(first, units, intervals, console))
        return
    for span in [None, *intervals]:
        if span is not None:
            console.print(f"\n{display.seconds(span)}")
        columns = {name: attribution.per_unit(units, *(span or ())) for name, attribution in attributions.items()}
        masks = [name for name, attribution in attributions.items() if attribution.is_mask]
        console.print(display.columns_table(units, columns, console, masks))
    console.print("\nAgreement of the methods: rank correlation of words by seconds")
    console.print(display.matrix_table(list(attributions), saved.map_agreement()))
    console.print()
    console.print(display.cost_table(attributions, saved.generation_seconds))


def _print_kept(kept: KeptScores, intervals: Sequence[Interval]) -> None:
    """As `print_scores`, of words whose scores are known."""
    console = display.out()
    console.print(_heading([kept.method], kept))
    columns = {"clip": kept.whole} | {display.seconds(span): kept.intervals[span] for span in intervals}
    console.print(display.columns_table(kept.words, columns, console, columns if kept.is_mask else ()))


def _heading(methods: Iterable[str], clip: Generation | KeptScores) -> Text:
    about = f"\n{', '.join(methods)} on {clip.generator}, {clip.duration:g} s, seed {clip.seed}"
    return Text.assemble((printable(clip.prompt), "bold"), (about, "dim"))


def _content(folder: Path, saved: Explanation | Comparison) -> dict[str, Any]:
    """What the folder's JSON files hold."""
    if not isinstance(saved, Comparison):
        return storage.read_json(folder / "explanation.json")
    each = {name: storage.read_json(folder / saved.folder(name) / "explanation.json") for name in saved.explanations}
    return {**storage.read_json(folder / COMPARISON), "explanations": each}
