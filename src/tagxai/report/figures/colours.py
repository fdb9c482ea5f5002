"""One colour language: orange speaks for a sound, blue against it, and full colour means the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tagxai.contract.strength import full_strength
from tagxai.lazy import Float, torch

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

Stops = list[tuple[int, int, int]]
"""Colours from no strength to full strength, as red, green and blue from 0 to 255; lightness changes evenly."""

PALETTE: dict[str, dict[str, Stops]] = {
    "light": {
        "hot": [(255, 255, 255), (253, 218, 182), (245, 166, 92), (226, 108, 22), (160, 54, 6)],
        "cold": [(255, 255, 255), (196, 217, 251), (126, 170, 244), (52, 110, 222), (18, 60, 152)],
    },
    "dark": {
        "hot": [(33, 31, 29), (94, 48, 18), (176, 84, 20), (240, 140, 50), (255, 206, 150)],
        "cold": [(33, 31, 29), (24, 56, 112), (36, 92, 200), (98, 152, 240), (206, 224, 255)],
    },
}


class Scale(NamedTuple):
    """The scores in full colour: `full` in orange, and minus `full` in blue where some are below zero."""

    full: float
    signed: bool

    @classmethod
    def of(cls, values: Float[torch.Tensor, "units frames"], frame_rate: float, *, is_mask: bool) -> Scale:
        return cls(full_strength(values, frame_rate, is_mask=is_mask), values.min().item() < -1e-9)

    @property
    def low(self) -> float:
        return -self.full if self.signed else 0.0

    @property
    def colour_map(self) -> Colormap:
        """The colours from `low` to `full`, for matplotlib."""
        from matplotlib.colors import LinearSegmentedColormap

        stops = PALETTE["light"]
        chosen = [*reversed(stops["cold"]), *stops["hot"][1:]] if self.signed else stops["hot"]
        return LinearSegmentedColormap.from_list("tagxai", [[part / 255 for part in colour] for colour in chosen], 511)
