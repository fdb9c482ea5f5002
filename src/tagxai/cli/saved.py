"""Options of commands about a saved explanation or comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagxai.contract.attribution import Attribution
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation
from tagxai.text.words import By

ByOption = Annotated[By, typer.Option("--by", help="Score words, noun phrases, or the model's own tokens.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder written by [bold]tagxai explain[/].")]


def attributions_of(saved: Explanation | Comparison) -> dict[str, Attribution]:
    """The attributions by method."""
    if isinstance(saved, Comparison):
        return {name: each.attribution for name, each in saved.explanations.items()}
    return {saved.attribution.method: saved.attribution}
