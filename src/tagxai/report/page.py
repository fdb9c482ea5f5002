"""`report.html` and `heatmap.png` of a saved explanation. The page needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tagxai import storage
from tagxai.contract.attribution import Score
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.listening import TrackKind
from tagxai.report.figures.colours import Scale
from tagxai.report.figures.spectrogram import LOWEST, spectrogram
from tagxai.report.html import coloured, data_uri, drawn, gradient, ink, listed, png, rounded, template
from tagxai.text.printable import printable

TRACK_TEXTS: dict[TrackKind, tuple[str, str]] = {
    "factual": (
        "Factual",
        "Generated again with only what the explanation keeps. If it is right, the clip's sounds are still here.",
    ),
    "counterfactual": (
        "Counterfactual",
        "Generated again without what the explanation keeps. If it is right, the clip's sounds are gone or weaker.",
    ),
    "unconditional": (
        "Unconditional",
        "Generated with no prompt at all: what the model makes up by itself.",
    ),
}


class Player(NamedTuple):
    """One clip on the page."""

    title: str
    text: str
    source: str
    original: bool = False


class Word(NamedTuple):
    """A word and its colour: `strength` on the scale of its column. `share` is its score relative to the largest."""

    text: str
    score: str
    strength: float
    share: float
    dim: bool


class Column(NamedTuple):
    """The words over the whole clip or over one interval."""

    title: str
    words: list[Word]


def write_explanation(folder: Path) -> list[Path]:
    """Make the page and the picture of the explanation in `folder`. Raises DamagedFileError."""
    explanation = Explanation.load(folder)
    picture, page = folder / "heatmap.png", folder / "report.html"
    with storage.whole_file(picture) as temporary:
        explanation.attribution.plot(intervals=explanation.intervals).savefig(temporary, format="png")
    storage.write_text(page, render(explanation, folder))
    return [page, picture]


def render(explanation: Explanation, folder: Path) -> str:
    """The page as text; its audio is that of `folder`."""
    attribution, clip = explanation.attribution, explanation.attribution.generation
    units = attribution.words()
    values = attribution.over_time(units)
    scale = Scale.of(values.flatten().tolist())
    columns = [_column("whole clip", attribution.per_unit(units))]
    columns += [_column(f"{a:g} to {b:g} s", attribution.per_unit(units, a, b)) for a, b in explanation.intervals]
    return template("report.html.j2").render(
        prompt=printable(clip.prompt),
        attribution=attribution,
        clip=clip,
        columns=columns,
        players=_players(explanation, folder),
        intervals=explanation.intervals,
        scale=scale,
        gradient=gradient(scale),
        heat=png(coloured(values.cpu().numpy(), scale)),
        bands=drawn(attribution.plot_deviation()) if attribution.deviation is not None else None,
        sound=png(ink(spectrogram(clip)[::-1])),
        data={"duration": clip.duration, "words": [u.text for u in units], "scores": rounded(values.tolist())},
        ticks=[clip.duration * i / 6 for i in range(7)],
        lowest=LOWEST,
        details=_details(explanation),
    )


def _column(title: str, scores: Sequence[Score]) -> Column:
    scale = Scale.of([score.score for score in scores])
    largest = max(abs(score.score) for score in scores) or 1.0
    return Column(
        title,
        [
            Word(
                printable(s.text),
                f"{s.score:.3f}",
                round(scale.strength(s.score), 3),
                round(abs(s.score) / largest, 3),
                s.unit.function or s.unit.special,
            )
            for s in scores
        ],
    )


def _players(explanation: Explanation, folder: Path) -> list[Player]:
    clip = explanation.attribution.generation
    first = f"What {clip.generator} made from the prompt. This is the clip that is explained."
    players = [Player("Original", first, data_uri((folder / "original.flac").read_bytes()), original=True)]
    for track in explanation.tracks:
        title, text = TRACK_TEXTS[track.kind]
        number = track.name.removeprefix(track.kind).lstrip("-")
        players.append(Player(f"{title} {number}".strip(), text, data_uri((folder / track.file).read_bytes())))
    return players


def _details(explanation: Explanation) -> list[tuple[str, str]]:
    attribution, clip = explanation.attribution, explanation.attribution.generation
    groups: dict[str, Any] = {
        "method settings": attribution.settings,
        "generator settings": clip.settings,
        "cost": attribution.cost.to_json(),
        "versions": attribution.versions,
    }
    rows = [
        ("method", attribution.method),
        ("generator", clip.generator),
        ("clip", f"{clip.duration:g} s, {clip.sample_rate} Hz, {clip.frame_rate:g} frames a second, seed {clip.seed}"),
        ("tokens", " ".join(printable(token) for token in clip.tokens)),
    ]
    return rows + [(name, listed(group)) for name, group in groups.items() if group]
