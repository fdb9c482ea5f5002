"""Tables below the page's maps: how far methods agree, what they cost, and how everything was made."""

from __future__ import annotations

from typing import Any, NamedTuple

from tagxai.contract.attribution import Attribution
from tagxai.explaining.comparison import Comparison, Matrix, passes_in_words
from tagxai.report.content import Content
from tagxai.report.html import listed
from tagxai.text.printable import printable


class CostLine(NamedTuple):
    """The cost of one method, as text."""

    method: str
    seconds: str
    share: str
    passes: str
    completeness: str


def cost_line(name: str, attribution: Attribution, comparison: Comparison | None) -> CostLine:
    seconds, whole = attribution.cost.seconds, comparison.generation_seconds if comparison else None
    error = attribution.diagnostics.get("completeness_error_mean")
    return CostLine(
        name,
        "–" if not seconds else f"{seconds:.3g}",
        "–" if not seconds or not whole else f"{seconds / whole:.2g}×",
        passes_in_words(attribution.cost),
        "–" if error is None else f"{error:.2g}",
    )


def agreement(comparison: Comparison | None) -> list[tuple[str, list[list[str]]]]:
    """A title and rank correlations as text, for the words of the clip and for words by seconds."""
    if comparison is None or len(comparison.explanations) < 2:
        return []
    return [
        ("Words by seconds", _texts(comparison.map_agreement())),
        ("Words over the clip", _texts(comparison.word_agreement())),
    ]


def _texts(matrix: Matrix) -> list[list[str]]:
    return [["–" if v is None else f"{round(v, 2) + 0.0:.2f}".replace("-", "−") for v in row] for row in matrix]


def details(content: Content) -> list[tuple[str, str]]:
    """How the clip and the scores were made."""
    clip = content.clip
    given = f", of which the first {clip.given / clip.frame_rate:g} s were given" if clip.given else ""
    rows = [
        ("generator", clip.generator),
        (
            "clip",
            f"{clip.duration:g} s{given}, {clip.sample_rate} Hz, {clip.frame_rate:g} frames a second, seed {clip.seed}",
        ),
        ("tokens", " ".join(printable(token) for token in clip.tokens)),
        ("generator settings", listed(clip.settings)),
    ]
    for name, attribution in content.attributions.items():
        groups: dict[str, Any] = {"settings": attribution.settings, "cost": attribution.cost.to_json()}
        rows += [(f"{name}: {group}", listed(values)) for group, values in groups.items()]
    versions = [listed(each.versions) for each in content.attributions.values()]
    rows += [("versions", text) for text in dict.fromkeys(versions)]
    return [(name, text) for name, text in rows if text]
