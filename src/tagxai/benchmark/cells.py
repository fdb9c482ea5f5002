"""The work on some clips: make them together, explain each by each method, measure each explanation.

Finished cells are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from tagxai.benchmark import models
from tagxai.benchmark.artefacts import clips_on, explanations_of
from tagxai.benchmark.clip_spec import ClipSpec
from tagxai.benchmark.guards import blaming
from tagxai.benchmark.measurement import Measurement, without_value
from tagxai.benchmark.models import ModelSpec
from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.sentinel import Sentinel
from tagxai.benchmark.store import Store, seed_of
from tagxai.benchmark.together import explain_clips, make_clips, request_of
from tagxai.contract.attribution import Attribution
from tagxai.contract.foreign import is_built_in
from tagxai.contract.generator import Generator
from tagxai.contract.seeding import seeded
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.explaining.attributing import attribute
from tagxai.explaining.comparison import passes_in_words
from tagxai.explaining.measuring import measure
from tagxai.scoring import cached, shared_scores

T = TypeVar("T")
OnCell = Callable[[Measurement], None]
Todo = tuple[tuple[PlanEntry, tuple[PlanEntry, ...]], ...]
"""Methods, each with the metrics whose cells are unfinished."""


@dataclass(frozen=True)
class Job:
    """The unfinished cells of some clips of one model, with all that a process needs to compute them."""

    folder: str
    model: ModelSpec
    clips: tuple[tuple[ClipSpec, Todo], ...]
    time_limit: float | None
    plugins: tuple[str, ...] | None = None
    """The plugins that its own process may load, where it has one: see `isolation`."""

    @property
    def todo(self) -> Todo:
        """The methods of all clips, each with its unfinished metrics."""
        return tuple(pair for _, todo in self.clips for pair in todo)

    @property
    def cells(self) -> int:
        return sum(len(metrics) for _, metrics in self.todo)

    def parts(self) -> list[Job]:
        """Its clips as jobs of their own; of a single clip, its methods. A single method cannot be divided."""
        if len(self.clips) > 1:
            return [replace(self, clips=(clip,)) for clip in self.clips]
        return [replace(self, clips=((spec, (pair,)),)) for spec, todo in self.clips for pair in todo]


OnBegin = Callable[[ClipSpec, Todo, "float | None"], None]
"""Called before an explanation, with the metrics that wait for it, and before each metric; with the time limit."""


def work(job: Job, on_cell: OnCell | None = None, *, on_begin: OnBegin | None = None, scores: str | None = None) -> int:
    """Compute a job's unfinished cells into its folder; returns how many failed. A cell that fails holds its error.

    `scores` is a folder for the cache of scores, if it is not to be the one that all share.
    The clips are made together, and explained together by the methods that gain by it; all else is done one by one.
    """
    store = Store(job.folder)
    left = [(spec, unfinished(store, spec, todo)) for spec, todo in job.clips]  # some are finished if it runs again
    left = [(spec, todo) for spec, todo in left if todo]
    make_clips(store, job.model, [spec for spec, _ in left], job.time_limit)
    explain_clips(store, job.model, _asked(left), job.time_limit)
    begin, cache = on_begin or _nobody, Path(scores) if scores else store.folder / "scores"
    return sum(_work_on(store, job, spec, todo, CellWriter(store, spec, on_cell), begin, cache) for spec, todo in left)


def _nobody(*_: Any) -> None:
    pass


def _asked(clips: Iterable[tuple[ClipSpec, Todo]]) -> list[tuple[PlanEntry, list[ClipSpec]]]:
    """Each method, with the clips that it is asked to explain."""
    asked: dict[str, tuple[PlanEntry, list[ClipSpec]]] = {}
    for spec, todo in clips:
        for entry, _ in todo:
            asked.setdefault(entry.label, (entry, []))[1].append(spec)
    return list(asked.values())


def _work_on(store: Store, job: Job, spec: ClipSpec, todo: Todo, cells: CellWriter, begin: OnBegin, cache: Path) -> int:
    """Explain and measure one clip, which is made where it is missing."""
    limit, generator = job.time_limit, job.model.load()
    try:
        models.check_identity(generator, spec.generator, job.model.spec)
        with blaming("the generator", limit):
            device = generator.encode_prompt([spec.prompt]).embeddings.device
            clip, clip_seconds = store.remembered(clips_on(device), spec.key, partial(_generate, generator, spec))
            sentinel = Sentinel(generator, clip)
    except TagxaiError as error:
        cells.fail(todo, error)
        return cells.failed
    with shared_scores(generator):
        explained, sentinel = _explained(store, job, spec, todo, cells, begin, sentinel, clip_seconds)
        sentinel = _prepared(job, spec, explained, sentinel, cache)
        for entry, metrics, attribution, cost in explained:
            for metric in metrics:
                key = spec.cell(entry, metric)
                begin(spec, ((entry, (metric,)),), limit)
                try:
                    with blaming(f"metric {metric.label!r}", limit), cached(cache), seeded(seed_of(key)):
                        value = measure(metric.metric(), sentinel.generator, attribution, entry.method())
                        sentinel.check(outputs=False)
                    cells.write(entry, metric, value=value, **cost)
                except TagxaiError as error:
                    cells.write(entry, metric, **without_value(error), **cost)
                    sentinel = _unharmed(job, sentinel)
    return cells.failed


class _Explained(NamedTuple):
    """An explanation of the clip, with the metrics that wait for it and what it cost."""

    entry: PlanEntry
    metrics: tuple[PlanEntry, ...]
    attribution: Attribution
    cost: dict[str, Any]


def _explained(
    store: Store,
    job: Job,
    spec: ClipSpec,
    todo: Todo,
    cells: CellWriter,
    begin: OnBegin,
    sentinel: Sentinel,
    clip_seconds: float,
) -> tuple[list[_Explained], Sentinel]:
    """The clip's explanations; the cells of a method that fails are written."""
    found, clip, limit = list[_Explained](), sentinel.clip, job.time_limit
    for entry, metrics in todo:
        begin(spec, ((entry, metrics),), limit)
        try:
            with blaming(f"method {entry.label!r}", limit):
                make = partial(_explain, entry, clip, sentinel)
                attribution, seconds = store.remembered(explanations_of(clip), spec.explanation(entry), make)
        except TagxaiError as error:
            cells.fail([(entry, metrics)], error)
            sentinel = _unharmed(job, sentinel)
            continue
        passes = passes_in_words(attribution.cost)
        cost = {"generate_seconds": clip_seconds, "seconds": seconds, "passes": passes}
        found.append(_Explained(entry, metrics, attribution, cost))
    return found, sentinel


def _prepared(job: Job, spec: ClipSpec, explained: Sequence[_Explained], sentinel: Sentinel, cache: Path) -> Sentinel:
    """Let each metric of tagxai's own prepare for all explanations of the clip. Where that fails, each is scored, and
    blamed, in its turn."""
    waiting: dict[str, tuple[PlanEntry, list[Attribution]]] = {}
    for each in explained:
        for metric in each.metrics:
            waiting.setdefault(metric.label, (metric, []))[1].append(each.attribution)
    for metric, attributions in waiting.values():
        if metric.distribution or len(attributions) < 2:
            continue
        limit = job.time_limit and job.time_limit * len(attributions)
        try:
            with blaming(f"metric {metric.label!r}", limit), cached(cache), seeded(seed_of(spec.key)):
                metric.metric().prepare(sentinel.generator, attributions)
                sentinel.check(outputs=False)
        except TagxaiError:
            sentinel = _unharmed(job, sentinel)
    return sentinel


class CellWriter:
    """Writes the cells of one clip, and counts those that failed."""

    def __init__(self, store: Store, clip: ClipSpec, on_cell: OnCell | None = None) -> None:
        self.store, self.clip, self.on_cell = store, clip, on_cell
        self.failed = 0

    def write(self, method: PlanEntry, metric: PlanEntry, **outcome: Any) -> None:
        """`outcome` holds the fields of a Measurement: its value, or why there is none, and costs."""
        cell = Measurement(self.clip.label, self.clip.prompt, self.clip.seed, method.label, metric.label, **outcome)
        self.store.write_cell(self.clip.cell(method, metric), cell)
        self.failed += cell.error is not None
        if self.on_cell is not None:
            self.on_cell(cell)

    def fail(self, todo: Iterable[tuple[PlanEntry, Iterable[PlanEntry]]], error: str | TagxaiError) -> None:
        """The same error in all cells of `todo`."""
        for method, metrics in todo:
            for metric in metrics:
                self.write(method, metric, **without_value(error))


def unfinished(store: Store, clip: ClipSpec, pairs: Iterable[tuple[PlanEntry, Sequence[PlanEntry]]]) -> Todo:
    """Those of a clip's methods and metrics whose cells are missing or damaged."""
    todo = [(method, tuple(m for m in metrics if not store.is_done(clip.cell(method, m)))) for method, metrics in pairs]
    return tuple((method, metrics) for method, metrics in todo if metrics)


def _generate(generator: Generator, spec: ClipSpec) -> tuple[Generation, float]:
    return _timed(lambda: generator.generate_many([request_of(spec)])[0])


def _explain(entry: PlanEntry, clip: Generation, sentinel: Sentinel) -> tuple[Attribution, float]:
    method = entry.method()
    attribution, seconds = _timed(lambda: attribute(method, sentinel.generator, clip, label=entry.label))
    sentinel.check()
    if is_built_in(type(method)):
        seconds = attribution.cost.seconds  # with what it shared with others
    return replace(attribution, generation=clip), seconds


def _timed(function: Callable[[], T]) -> tuple[T, float]:
    started = perf_counter()
    result = function()
    return result, perf_counter() - started


def _unharmed(job: Job, sentinel: Sentinel) -> Sentinel:
    """The same generator under watch if a failure left it as it was, else a newly loaded one."""
    try:
        sentinel.check()
        return sentinel
    except Exception:
        sentinel.clear()
        models.forget_loaded()
        return Sentinel(job.model.load(), sentinel.clip)
