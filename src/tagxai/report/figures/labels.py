"""Words beside a figure, in fonts that can draw them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from tagxai.text.printable import printable

_FONT = "DejaVu Sans"  # comes with matplotlib


def label_words(axes: Axes, labels: Sequence[str]) -> None:
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
