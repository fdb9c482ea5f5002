"""What `ask` and `effects` share: the saved clip, its model, and scores that are kept beside the explanation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from tagxai.cli import options, parsing, saved
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError
from tagxai.explaining.explanation import Interval
from tagxai.explaining.making import check_made_by
from tagxai.explaining.saved import load_saved
from tagxai.scoring import NEEDS_ATTENTION, Operator, ScoreTable, cached, leave_one_out, score
from tagxai.text import words
from tagxai.text.words import By, Unit

ModelOption = Annotated[
    str | None,
    typer.Option("--generator", "-g", metavar="NAME[:SOURCE]", help="If the model has moved since the clip was made."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, with every frame of it.")]
OneIntervalOption = Annotated[
    str | None, typer.Option("--interval", "-i", metavar="START:END", help="These seconds instead of the whole clip.")
]


def saved_clip(folder: Path) -> Generation:
    """The clip of an explanation, or of a comparison."""
    return next(iter(saved.attributions_of(load_saved(folder)).values())).generation


def frames_of(clip: Generation, text: str | None, option: str) -> range:
    """The frames of an interval START:END, or of the whole clip."""
    interval: Interval | tuple[None, None] = (None, None)
    if text is not None:
        (interval,) = parsing.parse_intervals([text], None, option)
    return clip.frame_range(*interval)


def kept_scores(folder: Path) -> AbstractContextManager[Any]:
    """Keep scores beside the explanation, where its folder can be written to, so that asking again costs nothing."""
    return cached(folder / "scores") if os.access(folder, os.W_OK) else nullcontext()


def model_of(clip: Generation, spec: str | None, device: str) -> Generator:
    """The model that made the clip. Raises TagxaiError where it clearly is another."""
    if spec is not None:
        options.check_generator(spec)
    model = options.load_model(spec or clip.generator, device)
    check_made_by(model, clip, spec or clip.generator)
    return model


def units_of(clip: Generation, by: By) -> tuple[Unit, ...]:
    return words.units(by, clip.prompt, clip.spans, clip.tokens)


def score_left_out(
    model: Generator, clip: Generation, units: Sequence[Unit], operator: Operator, on_progress: OnProgress
) -> ScoreTable:
    """The clip scored with each unit left out."""
    if operator in NEEDS_ATTENTION and "attention" not in model.offers:
        raise TagxaiError(f"operator {operator!r} needs attention, which generator {model.name!r} does not offer")
    return score(model, clip, units, leave_one_out(len(units)), operator=operator, on_progress=on_progress)
