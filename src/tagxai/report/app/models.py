"""The models that an app offers, by labels that show no path, and the methods that can explain their clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tagxai.contract.generator import Generator
from tagxai.contract.method import QUESTIONS
from tagxai.errors import TagxaiError
from tagxai.explaining.default_method import default_method
from tagxai.explaining.loading import make_method
from tagxai.registering.registry import registry
from tagxai.report.app import bounds


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded generator, and what a visitor may ask of it."""

    label: str
    generator: Generator

    @property
    def longest(self) -> float:
        """Seconds."""
        return min(self.generator.max_duration, bounds.SECONDS)

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods that can explain its clips, with their usual settings; the default one first."""
        first = default_method(self.generator)[0]
        return (first, *sorted(name for name in registry().methods if name != first and self._explained_by(name)))

    def settings(self, method: str) -> Mapping[str, str]:
        """Settings of a method: those that the model's default method needs, else none."""
        name, settings = default_method(self.generator)
        return settings if method == name else {}

    def offer(self) -> dict[str, Any]:
        """What the rail lets a visitor choose."""
        families = {name: registry().methods[name].cls.family for name in self.methods}
        return {
            "label": self.label,
            "seconds": min(self.generator.default_duration, self.longest),
            "longest": self.longest,
            "frame": 1 / self.generator.frame_rate,
            "edits": "attention" in self.generator.offers,
            "methods": [
                {"name": name, "family": family, "question": QUESTIONS.get(family, "")}
                for name, family in families.items()
            ],
        }

    def _explained_by(self, name: str) -> bool:
        try:
            make_method(name).check_supported(self.generator)
        except Exception:  # a method may be anyone's plugin; one that cannot say that it can is not offered
            return False
        return True


def labels(specs: list[str]) -> list[str]:
    """What visitors see of each NAME[:SOURCE]: of a source that is a folder, its own name alone.

    >>> labels(["tiny", "musicgen:./models/mine"])
    ['tiny', 'musicgen mine']
    """
    found = []
    for spec in specs:
        name, _, source = spec.partition(":")
        found.append(f"{name} {Path(source).name}" if source else name)
    for label in found:
        if found.count(label) > 1:
            raise TagxaiError(f"two generators would both be called {label!r}; give each of them once")
    return found
