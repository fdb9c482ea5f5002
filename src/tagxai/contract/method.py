"""An attribution method: what a plugin that explains clips subclasses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator, check_offered
from tagxai.contract.options import Configurable
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.shortage import naming_shortage
from tagxai.contract.values import Generation, OnProgress
from tagxai.contract.workload import Workload

QUESTIONS = {
    "removal": "how much less likely is the clip without the word?",
    "gradients": "how sensitive is the clip to the word, to first order?",
    "attention": "where does the model read the word?",
    "attention x gradients": "where is the word read, and where does reading it matter?",
    "product": "where is the word read, times how much less likely the clip is without it?",
    "learned mask": "which words are enough for the clip, and which does it need?",
    "regeneration": "what changes in a clip from the same noise without the word?",
    "control": "none: what a method must beat",
    "other": "see its docstring",
}
"""The families of methods, and the question that each of them answers."""


class Method(Configurable, ABC):
    """An attribution method: a frozen dataclass whose fields are its hyper-parameters.

    A subclass writes `explain`; the rest is done here. `needs` says what it asks of a generator.
    """

    role: ClassVar[str] = "method"
    name: ClassVar[str]
    family: ClassVar[str] = "other"  # what it asks of the model, for lists: see `QUESTIONS`
    needs: ClassVar[frozenset[Capability]] = frozenset()
    remedy: ClassVar[str] = ""  # what to do where a generator lacks what the method needs, for the refusal
    fallback: ClassVar[Mapping[str, Any]] = {}  # settings with which it needs less, for generators that lack it
    expense: ClassVar[str] = "not stated"  # passes of the model that it takes, in words

    @abstractmethod
    def explain(self, run: Run) -> Scores:
        """Score the tokens of `run.generation`. `run` is the only way to the model; gradients are off until enabled."""

    def explain_many(self, runs: Sequence[Run]) -> list[Scores]:
        """As `explain`, for several clips. A method that gains by a batch overrides it; others explain one by one."""
        found = []
        for run in runs:
            with run.working():
                found.append(self.explain(run))
        return found

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        """Explain a clip that `generator` made. Raises UnsupportedError where it lacks what the method needs."""
        self.check_supported(generator)
        remedy = "explain a shorter clip, or use --dtype bfloat16"
        with (
            naming_shortage(f"for method {self.name!r}", remedy),
            Run.opened(generator, generation, on_progress) as run,
        ):
            return run.attribution(self.name, self.settings(), self.explain(run))

    def attribute_many(
        self, generator: Generator, generations: Sequence[Generation], *, on_progress: OnProgress | None = None
    ) -> list[Attribution]:
        """Explain several clips, each as `attribute` does: in one batch where `explains_together`, else one by one."""
        if not self.explains_together:
            return [self.attribute(generator, generation, on_progress=on_progress) for generation in generations]
        self.check_supported(generator)
        remedy = "explain shorter clips, or use --dtype bfloat16"
        with (
            naming_shortage(f"for method {self.name!r}", remedy),
            Run.opened_together(generator, generations, on_progress) as runs,
        ):
            found = self.explain_many(runs) if runs else []
            return [run.attribution(self.name, self.settings(), own) for run, own in zip(runs, found, strict=True)]

    @property
    def explains_together(self) -> bool:
        """Whether it has an `explain_many` of its own."""
        return type(self).explain_many is not Method.explain_many

    def peak_memory(self, work: Workload) -> int:
        """Bytes that `attribute` takes at its peak beside the model, for the estimate before a run."""
        return work.backward(2) if "gradients" in self.needs else work.forward(work.batch)

    def needed(self) -> frozenset[Capability]:
        """What it needs with its present options: `needs`, unless some options need less."""
        return self.needs

    def suited(self, offers: Collection[Capability], given: Collection[str] = ()) -> Method:
        """Itself; or with its `fallback`, where a generator that offers this can be explained so alone.

        Settings that the user has `given` are kept.
        """
        if self.needed() <= set(offers) or not self.fallback or not self.fallback.keys().isdisjoint(given):
            return self
        other = type(self).configure({**self.settings(), **self.fallback})
        return other if other.needed() <= set(offers) else self

    def check_supported(self, generator: Generator) -> None:
        """Raises UnsupportedError naming what is missing, and what would work."""
        others = (
            "methods that take words away, such as 'occlusion', need only forward passes; 'tagxai methods --for "
            f"{generator.name}' lists all that work"
        )
        check_offered(f"method {self.name!r}", self.needed(), generator, self.remedy or others)
        self.check_model(generator)

    def check_model(self, generator: Generator) -> None:
        """Raise UnsupportedError for a generator that has all that the method needs, and still is none that it can
        explain, such as one with layers of another kind. By default, none is refused."""
