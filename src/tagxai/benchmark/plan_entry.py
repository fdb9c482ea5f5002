"""A method or metric of a plan, with all its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tagxai.benchmark.controls import CONTROLS, ORIGIN
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.errors import TagxaiError
from tagxai.explaining.identifying import code_of, content_of
from tagxai.registering.registry import BUILT_IN, registry

SAVED = "saved"
"""The origin of explanations that were made earlier."""


@dataclass(frozen=True)
class PlanEntry:
    """A method or metric with all its settings; `label` is its name in tables.

    `origin` is the plugin that it came from, with its version. The last three fields are for metrics: an expensive one
    may be limited to the first `prompts`. `content` holds checksums of what the rest only names: the code of a plugin,
    files of weights.
    """

    name: str
    label: str
    origin: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    family: str = ""
    higher_is_better: bool = True
    prompts: int | None = None
    content: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_control(self) -> bool:
        return self.origin == ORIGIN

    @property
    def distribution(self) -> str:
        """The plugin that it is from; empty for tagxai's own."""
        return "" if self.is_control or self.origin == BUILT_IN else self.origin.partition(" ")[0]

    @property
    def identity(self) -> dict[str, Any]:
        """Everything about it that decides a result."""
        return {"name": self.name, "origin": self.origin, "settings": dict(self.settings), **self.content}

    def unsupported_by(self, generator: str, offers: Iterable[str]) -> str | None:
        """Why it does not work with a generator that has these capabilities; None where it does."""
        lacking = sorted(set(self.needs).difference(offers))
        if not lacking:
            return None
        kind = "metric" if self.family else "method"
        sentence = f"{kind} {self.label!r} needs {', '.join(lacking)}, which generator {generator!r} does not offer"
        return f"{sentence}; {remedy}" if (remedy := self._remedy()) else sentence

    def _remedy(self) -> str:
        """What a method says would help; empty where it says nothing, or its plugin is not installed here."""
        try:
            return "" if self.family or self.origin == SAVED else self.method().remedy
        except TagxaiError:
            return ""

    def with_content(self) -> PlanEntry:
        """The entry with the checksums of its code and files as they are now."""
        cls: Any = type(self.metric() if self.family else self.method())
        return replace(self, content=content_of(self.settings) | code_of(cls))

    def method(self) -> Method:
        cls = CONTROLS[self.name] if self.is_control else registry().method(self.name)
        return cls.configure(self.settings)

    def metric(self) -> Metric:
        return registry().metric(self.name).configure(self.settings)


def control_entries() -> tuple[PlanEntry, ...]:
    """The control rows that every plan has."""
    return tuple(PlanEntry(name, name, ORIGIN, needs=tuple(sorted(cls.needs))) for name, cls in CONTROLS.items())
