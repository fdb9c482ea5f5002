"""Pictures of an explanation: words by seconds over the clip's spectrogram, and the prompt in colours.

Figures are made without pyplot, so nothing here opens a window or keeps state.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jaxtyping import Float

from tagxai.lazy import torch
from tagxai.types import Generation

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWEST = 50.0  # Hz, the lower end of every spectrogram
RANGE = 70.0  # dB below the loudest point, drawn as silence
_FONT = "DejaVu Sans"  # comes with matplotlib
_HOT, _COLD = (230, 126, 34), (52, 120, 246)


class Scored(Protocol):
    """A word and its score (`tagxai.attribution.Score` is one)."""

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
        margin = 1e-3 * max(high, 1e-9)  # scores that are all alike must not look different
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


def heat_map(
    generation: Generation,
    values: Float[torch.Tensor, "units frames"],
    labels: Sequence[str],
    intervals: Sequence[tuple[float, float]] = (),
) -> Figure:
    """`values` as a panel of words by seconds, above the clip's spectrogram on the same time axis.

    Each of `intervals` [start, end), in seconds, is framed.
    """
    from matplotlib.figure import Figure

    scores = values.detach().float().cpu().numpy()
    scale = Scale.of(scores.ravel().tolist())
    words_height = max(0.9, 0.25 * len(labels))
    figure = Figure(figsize=(9.0, words_height + 2.6), dpi=150, layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(60, 1), height_ratios=(words_height, 1.6))
    words = figure.add_subplot(grid[0, 0])
    sound = figure.add_subplot(grid[1, 0], sharex=words)
    image = words.imshow(
        scores,
        aspect="auto",
        interpolation="nearest",
        cmap=scale.colour_map,
        vmin=scale.low,
        vmax=scale.high,
        extent=(0.0, generation.duration, len(labels) - 0.5, -0.5),
    )
    figure.colorbar(image, cax=figure.add_subplot(grid[0, 1]), label="score")
    _label_words(words, labels)
    _draw_spectrogram(sound, generation)
    for axes in (words, sound):
        for interval in intervals:
            axes.axvspan(*interval, fill=False, edgecolor="white", lw=2.5, clip_on=False)
            axes.axvspan(*interval, fill=False, edgecolor="black", lw=1.2, ls="--", clip_on=False)
    return figure


def heat_maps(
    generation: Generation,
    maps: Mapping[str, Float[torch.Tensor, "units frames"]],
    labels: Sequence[str],
    intervals: Sequence[tuple[float, float]] = (),
) -> Figure:
    """A panel for each of `maps` by its name, on one scale (see `full_colour`)."""
    from matplotlib.figure import Figure

    height = max(0.9, 0.2 * len(labels))
    figure = Figure(figsize=(9.0, (height + 0.35) * len(maps) + 1.9), dpi=150, layout="constrained")
    grid = figure.add_gridspec(len(maps) + 1, 2, width_ratios=(60, 1), height_ratios=(*[height] * len(maps), 1.4))
    sound = figure.add_subplot(grid[-1, 0])
    panels = [figure.add_subplot(grid[row, 0], sharex=sound) for row in range(len(maps))]
    for axes, (name, values) in zip(panels, maps.items(), strict=True):
        scores = values.detach().float().cpu()
        image = axes.imshow(
            (scores / full_colour(scores)).numpy(),
            aspect="auto",
            interpolation="nearest",
            cmap="RdBu_r",
            vmin=-1.0,
            vmax=1.0,
            extent=(0.0, generation.duration, len(labels) - 0.5, -0.5),
        )
        axes.set_title(name, loc="left", fontsize=9, parse_math=False)
        _label_words(axes, labels)
    figure.colorbar(image, cax=figure.add_subplot(grid[:-1, 1]), label="share of full colour")
    _draw_spectrogram(sound, generation)
    for axes in (*panels, sound):
        for interval in intervals:
            axes.axvspan(*interval, fill=False, edgecolor="black", lw=1.2, ls="--", clip_on=False)
    return figure


def bands(
    generation: Generation,
    values: Float[torch.Tensor, "units frames"],
    deviation: Float[torch.Tensor, "units frames"],
    labels: Sequence[str],
) -> Figure:
    """`values` as a curve for each word, in a band of one `deviation` to either side; all on one scale."""
    from matplotlib.figure import Figure

    scores, spread = (tensor.detach().float().cpu() for tensor in (values, deviation))
    low, high = min((scores - spread).min().item(), 0.0), (scores + spread).max().item()
    height = 0.8 / max(high - low, 1e-9)  # rows are 1 apart
    seconds = (torch.arange(values.shape[1]) + 0.5) / generation.frame_rate
    figure = Figure(figsize=(9.0, 0.45 * len(labels) + 0.7), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for row in range(len(labels)):
        curve, reach = row + 0.4 - (scores[row] - low) * height, spread[row] * height
        axes.axhline(row + 0.4 + low * height, color="0.8", lw=0.6)  # zero
        axes.fill_between(seconds, curve - reach, curve + reach, color="C0", alpha=0.3, lw=0)
        axes.plot(seconds, curve, color="C0", lw=1)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, generation.duration)
    _label_words(axes, labels)
    axes.tick_params(axis="x", labelbottom=True)
    axes.set_xlabel("seconds")
    return figure


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


def spectrogram(generation: Generation, *, bands: int = 128) -> np.ndarray:
    """Loudness in [0, 1] as `[bands, windows]`; the bands are evenly spaced in log-frequency from LOWEST upwards."""
    import numpy as np

    size, hop = 1024, 256
    samples = round(generation.duration * generation.sample_rate)
    mono = generation.waveform.detach().float().cpu().mean(0)[:samples]
    mono = torch.nn.functional.pad(mono, (0, max(0, size - len(mono))))
    window = torch.hann_window(size)
    power = torch.stft(mono, size, hop, window=window, pad_mode="constant", return_complex=True).abs().square().numpy()
    centres = np.linspace(0, generation.sample_rate / 2, power.shape[0])
    wanted = np.geomspace(LOWEST, generation.sample_rate / 2, bands)
    rows = np.stack([np.interp(wanted, centres, column) for column in power.T], axis=1)
    loudness = 10 * np.log10(rows + 1e-10)  # -100 dB is silence
    return np.clip((loudness - max(loudness.max(), RANGE - 100)) / RANGE + 1, 0, 1)


def printable(text: str) -> str:
    """`text` with control characters written out, which a terminal or a figure would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _background(strength: float) -> str:
    """See-through colour, so that the text keeps the contrast of its own theme, light or dark."""
    red, green, blue = _HOT if strength >= 0 else _COLD
    return f"background: rgba({red}, {green}, {blue}, {0.6 * abs(strength):.2f})"


def _label_words(axes: Axes, labels: Sequence[str]) -> None:
    shown = [printable(label) for label in labels]
    shown = [label if len(label) <= 24 else label[:23] + "…" for label in shown]
    fonts = [_fonts_for(label) for label in shown]
    texts = [label if known else f"word {i}" for i, (label, known) in enumerate(zip(shown, fonts, strict=True), 1)]
    axes.set_yticks(range(len(labels)), texts)
    for text, label, known in zip(axes.get_yticklabels(), labels, fonts, strict=True):
        text.set_fontfamily(known or [_FONT])
        text.set_parse_math(False)
        if re.fullmatch(r"</?\w+>", label):  # `</s>` and its like are no words
            text.set_color("0.55")
    axes.tick_params(axis="x", labelbottom=False)
    axes.tick_params(axis="y", length=0)


def _draw_spectrogram(axes: Axes, generation: Generation) -> None:
    low, high = math.log2(LOWEST), math.log2(generation.sample_rate / 2)
    axes.imshow(
        spectrogram(generation),
        aspect="auto",
        origin="lower",
        cmap="Greys",
        vmin=0,
        vmax=1,
        extent=(0.0, generation.duration, low, high),
    )
    ticks = [hertz for hertz in (100, 250, 500, 1000, 2000, 4000, 8000, 16000) if hertz <= generation.sample_rate / 2]
    axes.set_yticks([math.log2(hertz) for hertz in ticks])
    axes.set_yticklabels([f"{hertz // 1000} k" if hertz >= 1000 else str(hertz) for hertz in ticks], fontsize=8)
    axes.set_ylabel("Hz")
    axes.set_xlabel("seconds")
    axes.set_xlim(0, generation.duration)


def _fonts_for(text: str) -> list[str]:
    """Installed fonts that can together draw `text`; none where a character is in no font."""
    fonts, files = [_FONT], _font_files()
    for character in set(text):
        if not any(ord(character) in _characters(files[font]) for font in fonts):
            other = next((font for font, file in files.items() if ord(character) in _characters(file)), None)
            if other is None:
                return []
            fonts.append(other)
    return fonts


@cache
def _font_files() -> dict[str, str]:
    """The upright fonts of this machine by name, but those that draw a box for everything."""
    from matplotlib.font_manager import fontManager

    upright = [entry for entry in fontManager.ttflist if entry.style == "normal" and entry.weight == 400]
    return {
        entry.name: entry.fname for entry in sorted(upright, key=lambda e: e.name) if "Last Resort" not in entry.name
    }


@cache
def _characters(file: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(file).get_charmap())
