"""Attributes of sounds: their kinds, the values of each, and a style that has some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tagxai.laboratory.sounds.waves import Rng

AttributeKind = Literal["level", "rate", "pitch", "distance", "count"]

VALUES: dict[AttributeKind, tuple[str, ...]] = {
    "level": ("loud", "quiet"),
    "rate": ("fast", "slow"),
    "pitch": ("high", "low"),
    "distance": ("near", "far"),
    "count": ("once", "twice", "three times"),
}
"""The values of each kind of attribute."""


@dataclass(frozen=True)
class Style:
    """How a sound sounds: a value of `VALUES` per kind, or None for the sound's own nature."""

    level: str | None = None
    rate: str | None = None
    pitch: str | None = None
    distance: str | None = None
    count: str | None = None

    def chosen(self) -> dict[AttributeKind, str]:
        """The attributes that are set."""
        return {kind: value for kind in VALUES if (value := getattr(self, kind)) is not None}

    def pace(self, rng: Rng, slow: tuple[int, int], natural: tuple[int, int], fast: tuple[int, int]) -> int:
        """A period in frames from the (first, last) that belongs to the rate."""
        low, high = {"slow": slow, "fast": fast}.get(self.rate or "", natural)
        return int(rng.integers(low, high + 1))

    def tone(self, rng: Rng, low: Sequence[int], natural: Sequence[int], high: Sequence[int]) -> int:
        """One of the pitches (Hz) that belong to the attribute."""
        return int(rng.choice({"low": low, "high": high}.get(self.pitch or "", natural)))


NATURAL = Style()
"""No attribute: the sound's own nature."""
