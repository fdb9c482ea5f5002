"""The keys of a benchmark: what made a clip, an explanation or a cell decides the name of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tagxai import storage
from tagxai.benchmark.plan_entry import PlanEntry


def content_key(content: Mapping[str, Any]) -> str:
    return storage.json_sha256(content)[:32]


@dataclass(frozen=True)
class ClipSpec:
    """Everything that decides a clip; `generator` is the model's identity, `label` only its name in tables."""

    label: str
    generator: Mapping[str, Any]
    prompt: str
    seed: int
    duration: float | None
    sampling: Mapping[str, Any]
    """All settings that the generator declares; None takes its own."""

    @property
    def key(self) -> str:
        return content_key({name: value for name, value in asdict(self).items() if name != "label"})

    def explanation(self, method: PlanEntry) -> str:
        """The key of its explanation by a method."""
        return content_key({"clip": self.key, "method": method.identity})

    def cell(self, method: PlanEntry, metric: PlanEntry) -> str:
        """The key of a metric of that explanation."""
        return content_key({"explanation": self.explanation(method), "metric": metric.identity})
