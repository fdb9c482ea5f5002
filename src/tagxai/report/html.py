"""What the pages are made of: templates, and values and pictures as text that HTML can hold."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from tagxai.report.figures.colours import Scale

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Template
    from matplotlib.figure import Figure


def template(name: str) -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tagxai.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name)


def abbreviated(value: Any) -> str:
    """A setting or cost as a reader wants it: four digits of a float, JSON for the rest."""
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False).strip('"')


def listed(values: Mapping[str, Any]) -> str:
    """Settings or costs on one line."""
    return ", ".join(f"{name} {abbreviated(value)}" for name, value in values.items())


def rounded(rows: list[list[float]]) -> list[list[float]]:
    """Three digits of each score: enough to show, and short in the page."""
    return [[float(f"{value:.3g}") for value in row] for row in rows]


def data_uri(data: bytes, kind: str = "audio/flac") -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def coloured(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Scores as RGBA pixels."""
    from matplotlib import colormaps

    return colormaps[scale.colour_map]((values - scale.low) / (scale.high - scale.low))


def gradient(scale: Scale) -> str:
    """The colours of the scale as CSS colour stops."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return ", ".join(to_hex(colormaps[scale.colour_map](i / 8)) for i in range(9))


def ink(loudness: np.ndarray) -> np.ndarray:
    """Loudness as see-through grey, which shows on a light and on a dark background."""
    import numpy as np

    return np.stack([np.full_like(loudness, 0.5)] * 3 + [loudness], axis=-1)


def drawn(figure: Figure) -> str:
    """A figure as a data URI."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return data_uri(buffer.getvalue(), "image/png")


def png(pixels: np.ndarray) -> str:
    """A picture with one pixel per value as a data URI; the page stretches it."""
    from matplotlib.image import imsave

    buffer = BytesIO()
    imsave(buffer, pixels.clip(0, 1), format="png")
    return data_uri(buffer.getvalue(), "image/png")
