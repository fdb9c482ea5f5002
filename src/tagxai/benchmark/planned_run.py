"""A plan together with the models that it met: from here on, every cell has a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tagxai.benchmark.clip_spec import ClipSpec
from tagxai.benchmark.plan import Plan
from tagxai.benchmark.plan_entry import PlanEntry


@dataclass(frozen=True)
class PlannedRun:
    """A plan, and what `models.inspect` found about the generator of each label."""

    plan: Plan
    generators: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]

    def clips(self) -> Iterator[ClipSpec]:
        for label in self.plan.generators:
            identity = self.generators[label]["identity"]
            sampling = self.generators[label].get("sampling", self.plan.sampling)  # not in the files of tagxai 0.1
            for prompt in self.plan.prompts:
                for seed in self.plan.seeds:
                    yield ClipSpec(label, identity, prompt, seed, self.plan.duration, sampling)

    def supported(self, label: str, entries: tuple[PlanEntry, ...]) -> list[PlanEntry]:
        """The methods or metrics that work with what a generator offers."""
        return [entry for entry in entries if self.unsupported(label, entry) is None]

    def unsupported(self, label: str, entry: PlanEntry) -> str | None:
        """Why a method or metric does not work with a generator; None where it does."""
        return entry.unsupported_by(label, self.generators[label]["offers"])

    def work_on(self, clip: ClipSpec) -> list[tuple[PlanEntry, list[PlanEntry]]]:
        """The methods that explain a clip, each with the metrics that measure its explanation."""
        metrics = self.supported(clip.label, self.plan.metrics_of(clip.prompt))
        return [(method, metrics) for method in self.supported(clip.label, self.plan.methods)]

    def cells(self) -> Iterator[tuple[ClipSpec, PlanEntry, PlanEntry]]:
        """Clip, method and metric of every cell, in the order of the plan."""
        for clip in self.clips():
            for method, metrics in self.work_on(clip):
                for metric in metrics:
                    yield clip, method, metric

    def all_cells(self) -> Iterator[tuple[ClipSpec, PlanEntry, PlanEntry, str | None]]:
        """As `cells`, with those that cannot be computed because of what the generator lacks, and why."""
        plan = self.plan
        entries = [(kind, each) for kind in ("methods", "metrics") for each in getattr(plan, kind)]
        why = {
            (label, kind, each.label): self.unsupported(label, each)
            for label in plan.generators
            for kind, each in entries
        }
        for clip in self.clips():
            metrics = plan.metrics_of(clip.prompt)
            for method in plan.methods:
                for metric in metrics:
                    lacking = why[clip.label, "methods", method.label] or why[clip.label, "metrics", metric.label]
                    yield clip, method, metric, lacking

    def named(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """(kind, label, identity) of every generator, method and metric."""
        for label in self.plan.generators:
            yield "generator", label, self.generators[label]["identity"]
        for kind, entries in (("method", self.plan.methods), ("metric", self.plan.metrics)):
            for entry in entries:
                yield kind, entry.label, entry.identity

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan.to_json(),
            "generators": dict(self.generators),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PlannedRun:
        return cls(Plan.from_json(content["plan"]), content["generators"], content["provenance"])
