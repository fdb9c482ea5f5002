"""`report.html` and `heatmap.png` of a saved explanation. The page asks nothing of any network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tagxai import storage
from tagxai.contract.attribution import Score
from tagxai.explaining.comparison import COMPARISON
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.listening import Kind
from tagxai.report.figures.colours import Scale
from tagxai.report.figures.spectrogram import LOWEST, spectrogram
from tagxai.text.printable import printable

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

TELL: dict[Kind, tuple[str, str]] = {
    "factual": (
        "Factual",
        "Made again with only what the explanation keeps. If it is right, the clip's sounds are still here.",
    ),
    "counterfactual": (
        "Counterfactual",
        "Made again without what the explanation keeps. If it is right, the clip's sounds are gone or weaker.",
    ),
    "unconditional": (
        "Unconditional",
        "Made with no prompt at all: what the model plays when nobody asks for anything.",
    ),
}


class Player(NamedTuple):
    """One clip on the page."""

    title: str
    text: str
    source: str
    original: bool = False


class Word(NamedTuple):
    """A word and its colour, `strength` on the scale of its column; `share` is its size beside the largest score."""

    text: str
    score: str
    strength: float
    share: float
    dim: bool


class Column(NamedTuple):
    """The words over the whole clip or over one interval."""

    title: str
    words: list[Word]


def write_report(folder: str | Path) -> list[Path]:
    """Make `heatmap.png` and `report.html` from the explanation, or the comparison, in `folder`.

    Raises DamagedFileError.
    """
    target = Path(folder)
    if (target / COMPARISON).is_file():
        from tagxai.report.comparison import write_comparison

        return write_comparison(target)
    explanation = Explanation.load(target)
    picture, page = target / "heatmap.png", target / "report.html"
    with storage.whole_file(picture) as temporary:
        explanation.attribution.plot(intervals=explanation.intervals).savefig(temporary, format="png")
    with storage.whole_file(page) as temporary:
        temporary.write_text(render(explanation, target), encoding="utf-8")
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


def template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tagxai.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name)


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
    first = f"What {clip.generator} made of the prompt. This is the clip that is explained."
    players = [Player("Original", first, data_uri((folder / "original.flac").read_bytes()), original=True)]
    for track in explanation.tracks:
        title, text = TELL[track.kind]
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
    rows += [(name, ", ".join(f"{k} {short(v)}" for k, v in group.items())) for name, group in groups.items() if group]
    return rows


def short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False).strip('"')


def rounded(rows: list[list[float]]) -> list[list[float]]:
    return [[float(f"{value:.3g}") for value in row] for row in rows]


def data_uri(data: bytes, kind: str = "audio/flac") -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def coloured(values: np.ndarray, scale: Scale) -> np.ndarray:
    from matplotlib import colormaps

    return colormaps[scale.colour_map]((values - scale.low) / (scale.high - scale.low))


def gradient(scale: Scale) -> str:
    """The colours of the scale as CSS colour stops."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return ", ".join(to_hex(colormaps[scale.colour_map](i / 8)) for i in range(9))


def ink(loudness: np.ndarray) -> np.ndarray:
    """Loudness as see-through grey, which shows on light and on dark ground."""
    import numpy as np

    return np.stack([np.full_like(loudness, 0.5)] * 3 + [loudness], axis=-1)


def drawn(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return data_uri(buffer.getvalue(), "image/png")


def png(pixels: np.ndarray) -> str:
    """A picture of one pixel for each value, which the page stretches."""
    from matplotlib.image import imsave

    buffer = BytesIO()
    imsave(buffer, pixels.clip(0, 1), format="png")
    return data_uri(buffer.getvalue(), "image/png")
