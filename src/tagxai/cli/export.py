"""`tagxai export` and `tagxai open`: a saved explanation for other programs, and its page in the browser."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display
from tagxai.cli.saved import ByOption, FolderArgument, attributions_of
from tagxai.contract.attribution import Attribution
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.saved import load_saved
from tagxai.text import words
from tagxai.text.words import By

OpenOption = Annotated[bool, typer.Option("--open", help="Show the page in the browser when it is written.")]

Form = Literal["csv", "parquet", "json", "audacity", "textgrid", "raven"]

FILES: dict[Form, str] = {
    "csv": "scores.csv",
    "parquet": "scores.parquet",
    "json": "scores.json",
    "audacity": "labels.txt",
    "textgrid": "labels.TextGrid",
    "raven": "labels.selections.txt",
}


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]tagxai export OUT --to csv[/]\n\n"
        "[bold]tagxai export OUT --to textgrid --by phrase --out dog.TextGrid[/]",
    )(export)
    app.command("open", epilog="Example: [bold]tagxai open OUT[/]")(open_report)


def export(
    folder: FolderArgument,
    to: Annotated[Form, typer.Option("--to", help="A table of scores by frame, or labels where units are strong.")],
    by: ByOption = "word",
    method: Annotated[
        str | None, typer.Option("--method", "-m", metavar="NAME", help="One method of a comparison; default: all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: a file in FOLDER, which is printed.")
    ] = None,
    force: Annotated[bool, typer.Option(storage.FORCE, help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a saved explanation as a table, or as labels for Audacity, Praat or Raven."""
    saved = load_saved(folder)
    found = attributions_of(saved)
    if method is not None and method not in found:
        raise UnknownNameError("method of this folder", method, found)
    chosen = found if method is None else {method: found[method]}
    if out is not None and len(chosen) > 1:
        raise TagxaiError(f"--out takes the file of one method; choose one with --method: {', '.join(chosen)}")
    if out is not None and out.exists() and not (force and out.is_file()):
        raise TagxaiError(f"{str(out)!r} exists already; give another file, or {storage.FORCE} to replace a file")
    for name, attribution in chosen.items():
        own = folder / saved.folder(name) if isinstance(saved, Comparison) else folder
        file = out or own / FILES[to]
        if not file.parent.is_dir():
            raise TagxaiError(f"the folder of --out {str(file)!r} does not exist")
        _write(attribution, to, by, file)
        display.out().print(Text(str(file)), soft_wrap=True)


def open_report(folder: FolderArgument) -> None:
    """Show the page of a saved explanation, comparison or edit in the browser."""
    show_in_browser(folder)


def show_in_browser(folder: Path) -> None:
    """Raises TagxaiError where there is no page."""
    import webbrowser

    page = folder / "report.html"
    if not page.is_file():
        raise TagxaiError(f"{page} is missing; `tagxai report {folder}` makes the page of a saved explanation")
    if not webbrowser.open(page.resolve().as_uri()):
        display.note(f"no browser was found; open {page} in one")


def _write(attribution: Attribution, to: Form, by: By, file: Path) -> None:
    if to == "csv":
        attribution.to_csv(file, by)
    elif to in ("audacity", "textgrid", "raven"):
        attribution.to_labels(to, file, by)
    elif to == "json":
        storage.write_json(file, _content(attribution, by))
    else:
        table = attribution.to_pandas(by)
        try:
            with storage.whole_file(file) as temporary:
                table.to_parquet(temporary)
        except ImportError:
            raise TagxaiError("--to parquet needs pyarrow: pip install 'tagxai[tables]', or use --to csv") from None


def _content(attribution: Attribution, by: By) -> dict[str, Any]:
    clip = attribution.generation
    units = words.units(by, clip.prompt, clip.spans, clip.tokens)
    rows = zip(units, attribution.over_time(units).tolist(), strict=True)
    return {
        "prompt": clip.prompt,
        "generator": clip.generator,
        "seed": clip.seed,
        "method": attribution.method,
        "duration": clip.duration,
        "frame_rate": clip.frame_rate,
        "units": [{**asdict(unit), "scores": scores} for unit, scores in rows],
    }
