"""Write an explanation's audio, heat map and report into its folder."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.attribution import Attribution
from tagxai.types import Generation

MEANING = {
    "original": "The clip that is explained.",
    "factual": "Made again with only what the explanation keeps: it should sound like the original.",
    "counterfactual": "Made again without what the explanation keeps: what it names should be gone.",
    "unconditional": "Made again without the prompt: what the model does when it is told nothing.",
}


def write_audio(folder: Path, audio: Mapping[str, Generation]) -> list[str]:
    """Each clip as NAME.flac; the names of the files."""
    names = []
    for name, clip in audio.items():
        storage.write_audio(folder / f"{name}.flac", clip.waveform, clip.sample_rate)
        names.append(f"{name}.flac")
    return names


def write_report(folder: Path, explanation: Attribution, intervals: Sequence[tuple[float, float]]) -> list[str]:
    """`heatmap.png` and `report.html` beside an explanation that is saved in `folder`; all files of it."""
    saved = storage.read_json(folder / "explanation.json")
    figure = explanation.plot(intervals=intervals)
    with storage.whole_file(folder / "heatmap.png") as temporary:
        figure.savefig(temporary, dpi=150)
    with storage.whole_file(folder / "report.html") as temporary:
        temporary.write_text(render(folder, explanation, intervals, saved), encoding="utf-8")
    return ["explanation.json", "scores.safetensors", *saved["audio"], "heatmap.png", "report.html"]


def render(
    folder: Path, explanation: Attribution, intervals: Sequence[tuple[float, float]], saved: Mapping[str, Any]
) -> str:
    """The page as one self-contained HTML text: pictures and sounds are inside it."""
    from jinja2 import Environment, PackageLoader

    template = Environment(loader=PackageLoader("tagxai.report"), autoescape=True).get_template("report.html.jinja")
    columns = [explanation.per_word(), *(explanation.per_word(start, end) for start, end in intervals)]
    largest = [max((abs(score.score) for score in column), default=0.0) or 1.0 for column in columns]
    rows = [
        {
            "text": scores[0].text,
            "faded": scores[0].unit.function or scores[0].unit.special,
            "cells": [(score.score, score.score / most) for score, most in zip(scores, largest, strict=True)],
        }
        for scores in zip(*columns, strict=True)
    ]
    sounds = [
        {
            "name": name.removesuffix(".flac"),
            "meaning": MEANING.get(name.removesuffix(".flac").partition("-")[0], ""),
            "uri": data_uri(folder / name, "audio/flac"),
        }
        for name in saved["audio"]
    ]
    return template.render(
        prompt=explanation.generation.prompt,
        method=explanation.method,
        rows=rows,
        headings=["whole clip", *(f"{start:g}\N{EN DASH}{end:g} s" for start, end in intervals)],
        sounds=sounds,
        heatmap=data_uri(folder / "heatmap.png", "image/png"),
        details={
            "generator": explanation.generation.generator,
            "seed": explanation.generation.seed,
            "sampling": json.dumps(dict(explanation.generation.settings)),
            "method settings": json.dumps(dict(explanation.settings)),
            "cost": json.dumps(dict(explanation.cost)),
            "versions": json.dumps(dict(explanation.versions)),
        },
    )


def data_uri(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
