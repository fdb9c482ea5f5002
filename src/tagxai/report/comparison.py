"""`report.html` and `heatmaps.png` of a comparison: a heat map for each method on one scale, agreement and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from tagxai import storage
from tagxai.contract.attribution import Attribution
from tagxai.explaining.comparison import Comparison, Matrix, passes_in_words
from tagxai.report.figures.colours import Scale, full_colour
from tagxai.report.figures.heat_map import heat_maps
from tagxai.report.figures.spectrogram import LOWEST, spectrogram
from tagxai.report.html import coloured, data_uri, gradient, ink, listed, png, rounded, template
from tagxai.report.page import write_explanation
from tagxai.text.printable import printable


class Panel(NamedTuple):
    """One method on the page."""

    method: str
    link: str
    heat: str
    full: str
    scores: list[list[float]]


class CostLine(NamedTuple):
    """The cost of one method, as text."""

    method: str
    seconds: str
    share: str
    passes: str
    completeness: str


class Correlation(NamedTuple):
    """A rank correlation of two methods; `strength` in [-1, 1] is its colour, `own` marks a method with itself."""

    text: str
    strength: float
    own: bool


def write_comparison(folder: Path) -> list[Path]:
    """Make the pages and pictures of a comparison and of each explanation in it. Raises DamagedFileError."""
    comparison = Comparison.load(folder)
    files = [
        file for method in comparison.explanations for file in write_explanation(folder / comparison.folder(method))
    ]
    picture, page = folder / "heatmaps.png", folder / "report.html"
    words = comparison.generation_words()
    maps = {name: e.attribution.over_time(words) for name, e in comparison.explanations.items()}
    with storage.whole_file(picture) as temporary:
        figure = heat_maps(comparison.generation, maps, [unit.text for unit in words], comparison.intervals)
        figure.savefig(temporary, format="png")
    storage.write_text(page, render(comparison, folder))
    return [page, picture, *files]


def render(comparison: Comparison, folder: Path) -> str:
    """The page as text; its audio is that of the first method's folder."""
    clip, words = comparison.generation, comparison.generation_words()
    scale = Scale(-1.0, 1.0)
    panels = [
        _panel(name, comparison.folder(name), explanation.attribution, scale)
        for name, explanation in comparison.explanations.items()
    ]
    first = next(iter(comparison.explanations))
    return template("comparison.html.j2").render(
        prompt=printable(clip.prompt),
        clip=clip,
        words=[(printable(unit.text), unit.function or unit.special) for unit in words],
        panels=panels,
        failures={name: printable(text) for name, text in comparison.failures.items()},
        original=data_uri((folder / comparison.folder(first) / "original.flac").read_bytes()),
        sound=png(ink(spectrogram(clip)[::-1])),
        gradient=gradient(scale),
        intervals=comparison.intervals,
        agreement=[
            ("Words by seconds", _correlations(comparison.map_agreement())),
            ("Words over the clip", _correlations(comparison.word_agreement())),
        ],
        costs=[_cost(name, e.attribution, comparison) for name, e in comparison.explanations.items()],
        data={
            "duration": clip.duration,
            "words": [unit.text for unit in words],
            "methods": [panel.method for panel in panels],
            "scores": [panel.scores for panel in panels],
        },
        ticks=[clip.duration * i / 4 for i in range(5)],
        lowest=LOWEST,
        details=_details(comparison),
    )


def _panel(name: str, folder: str, attribution: Attribution, scale: Scale) -> Panel:
    values = attribution.over_time(attribution.words())
    return Panel(
        name,
        f"{folder}/report.html",
        png(coloured((values / full_colour(values)).cpu().numpy(), scale)),
        f"{full_colour(values):.3g}",
        rounded(values.tolist()),
    )


def _correlations(matrix: Matrix) -> list[list[Correlation]]:
    return [
        [
            Correlation(
                "–" if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "−"),
                0.0 if value is None else value,
                i == j,
            )
            for j, value in enumerate(row)
        ]
        for i, row in enumerate(matrix)
    ]


def _cost(name: str, attribution: Attribution, comparison: Comparison) -> CostLine:
    seconds, whole = attribution.cost.seconds, comparison.generation_seconds
    error = attribution.diagnostics.get("completeness_error_mean")
    return CostLine(
        name,
        "–" if seconds is None else f"{seconds:.3g}",
        "–" if seconds is None or not whole else f"{seconds / whole:.2g}×",
        passes_in_words(attribution.cost),
        "–" if error is None else f"{error:.2g}",
    )


def _details(comparison: Comparison) -> list[tuple[str, str]]:
    clip = comparison.generation
    rows: list[tuple[str, Any]] = [
        ("generator", clip.generator),
        ("clip", f"{clip.duration:g} s, {clip.sample_rate} Hz, {clip.frame_rate:g} frames a second, seed {clip.seed}"),
        ("generator settings", listed(clip.settings)),
    ]
    for name, explanation in comparison.explanations.items():
        settings = explanation.attribution.settings
        rows.append((name, listed(settings) or "no settings"))
    return rows
