"""One colour language: the scale of scores, and the words of a prompt in colours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float

from tagxai.lazy import torch
from tagxai.text.printable import printable

_HOT, _COLD = (230, 126, 34), (52, 120, 246)


@runtime_checkable
class Scored(Protocol):
    """A word and its score (`tagxai.contract.attribution.Score` is one)."""

    @property
    def text(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def unit(self) -> Any: ...


class Scale(NamedTuple):
    """The range that colours span: about zero where scores have both signs, from the smallest to the largest else."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale:
        low, high = min(values, default=0.0), max(values, default=0.0)
        if low < 0:
            high = max(-low, high)
            return cls(-high, high)
        margin = 1e-3 * max(high, 1e-9)  # nearly equal scores must not look different
        return cls(low, high) if high - low > margin else cls(0.0, max(high, 1e-9) * 2)

    @property
    def signed(self) -> bool:
        return self.low < 0

    def strength(self, value: float) -> float:
        """`value` in [0, 1], or in [-1, 1] about zero where scores have both signs."""
        if self.signed:
            return max(-1.0, min(1.0, value / self.high))
        return max(0.0, min(1.0, (value - self.low) / (self.high - self.low)))

    @property
    def colour_map(self) -> str:
        return "RdBu_r" if self.signed else "viridis"


def full_colour(values: Float[torch.Tensor, "units frames"]) -> float:
    """The size of score that is drawn in full colour where methods are compared: 99 % of `values` are smaller.

    Methods measure in units of their own. The largest score itself may be that of one code, beside which all is pale.
    """
    return max(values.abs().flatten().quantile(0.99).item(), 1e-30)


def words_html(scores: Sequence[Scored]) -> str:
    """The words in prompt order, each on a background as strong as its score; the number shows on hovering."""
    scale = Scale.of([score.score for score in scores])
    spans = [
        f'<span title="{score.score:.3g}" style="{_background(scale.strength(score.score))}; '
        f'padding: .1em .3em; border-radius: .3em{"; opacity: .6" if score.unit.special else ""}">'
        f"{escape(printable(score.text))}</span>"
        for score in scores
    ]
    return f'<div dir="auto" style="line-height: 2">{" ".join(spans)}</div>'


def _background(strength: float) -> str:
    """See-through colour, so that the text keeps the contrast of its own theme, light or dark."""
    red, green, blue = _HOT if strength >= 0 else _COLD
    return f"background: rgba({red}, {green}, {blue}, {0.6 * abs(strength):.2f})"
