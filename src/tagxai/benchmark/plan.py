"""What a benchmark runs: generators x methods x metrics x prompts x seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.prompt_file import CHANGED


@dataclass(frozen=True)
class Plan:
    """What is run. `reference` is the label of the method that all others are compared with; `sampling` holds the
    settings that are not left at the generators' own."""

    generators: tuple[str, ...]
    methods: tuple[PlanEntry, ...]
    metrics: tuple[PlanEntry, ...]
    prompts: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    duration: float | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    time_limit: float | None = None
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What the other columns of the file of prompts say: by the column's name, a value for each prompt."""

    def metrics_of(self, prompt: str) -> tuple[PlanEntry, ...]:
        """The metrics of one prompt: all but those that are limited to earlier prompts. A metric of pairs of captions,
        which has a setting `changed`, is set to the prompt's own changed caption."""
        number, pair = self.prompts.index(prompt), self.columns.get(CHANGED, {}).get(prompt, "")
        return tuple(
            replace(metric, settings={**metric.settings, CHANGED: pair})
            if metric.settings.get(CHANGED) == ""
            else metric
            for metric in self.metrics
            if metric.prompts is None or number < metric.prompts
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Plan:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content.items()
        }
        for key in ("methods", "metrics"):
            values[key] = tuple(PlanEntry(**{**entry, "needs": tuple(entry["needs"])}) for entry in content[key])
        return cls(**values)
