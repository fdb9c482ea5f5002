"""`tagxai convert`: checkpoints from audiocraft to transformers' MusicGen, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from tagxai.cli import display, options
from tagxai.cli.progress import stages


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: [bold]tagxai convert facebook/audiogen-medium audiogen --to transformers[/]\n\n"
        '[bold]tagxai explain "a dog barks" --generator musicgen:audiogen[/]'
    )(convert)


def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A checkpoint: a folder or a hub id.")],
    target: Annotated[
        Path, typer.Argument(metavar="DST", parser=options.folder_given, help="The folder to write; new or empty.")
    ],
    to: Annotated[Literal["transformers", "audiocraft"], typer.Option("--to", help="The format to write.")],
) -> None:
    """Convert a checkpoint from audiocraft to transformers or back, bit for bit, and verify the result."""
    from tagxai import conversion

    with stages() as stage:
        report = conversion.convert(source, target, to=to, on_progress=stage("converting"))
    if report.differences is None:
        tested = "not compared with the original, because audiocraft is not installed"
    else:
        tested = "largest differences: " + ", ".join(f"{name} {x:.1e}" for name, x in report.differences.items())
    display.out().print(Text(f"wrote {report.tensors} tensors to {report.folder}; {tested}"), soft_wrap=True)
