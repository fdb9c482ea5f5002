"""Metrics of explanations that were made earlier, beside controls on the same clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tagxai.benchmark.guards import blaming
from tagxai.benchmark.measurement import Measurement, without_value
from tagxai.benchmark.plan_entry import SAVED, PlanEntry, control_entries
from tagxai.benchmark.results import Results
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.seeding import seeded
from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import TagxaiError
from tagxai.explaining.attributing import attribute
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.loading import make_method
from tagxai.explaining.measuring import measure
from tagxai.explaining.saved import load_saved

CellName = tuple[str, str, int, str, str]
"""Generator, prompt, seed, method and metric."""


def load_attributions(folders: Sequence[Path]) -> list[Attribution]:
    """The explanations in folders written by `tagxai explain`, with one or several methods each.

    Raises DamagedFileError.
    """
    found: list[Attribution] = []
    for folder in folders:
        saved = load_saved(folder)
        each = saved.explanations.values() if isinstance(saved, Comparison) else (saved,)
        found += [explanation.attribution for explanation in each]
    return found


def evaluate(
    attributions: Sequence[Attribution],
    metrics: Sequence[PlanEntry],
    generators: Mapping[str, Generator],
    *,
    on_progress: OnProgress | None = None,
) -> Results:
    """`generators` are the models of the clips, by the names that the clips have for them.

    Raises TagxaiError where tables could not distinguish two explanations.
    """
    _check_distinct(attributions)
    methods = {entry.label: entry for entry in control_entries()}
    measured: dict[CellName, Measurement] = {}
    work = [(attribution, control) for attribution in attributions for control in (None, *methods.values())]
    for number, (attribution, control) in enumerate(work):
        clip = attribution.generation
        generator = generators[clip.generator]
        entry = control or PlanEntry(attribution.method, attribution.method, SAVED, dict(attribution.settings))
        methods.setdefault(entry.label, entry)
        todo = []
        for metric in metrics:
            cell = (clip.generator, clip.prompt, clip.seed, entry.label, metric.label)
            why = (each.unsupported_by(clip.generator, generator.offers) for each in (entry, metric))
            if (lacking := next(filter(None, why), None)) is not None:
                measured.setdefault(cell, Measurement(*cell, not_applicable=lacking))
            elif cell not in measured:
                todo.append((metric, cell))
        if todo:
            measured |= _measured(todo, entry, attribution, generator, explain_again=control is not None)
        if on_progress is not None:
            on_progress(Progress(number + 1, len(work), f"{entry.label}: {clip.prompt}"))
    return Results(list(measured.values()), list(methods.values()), list(metrics), attributions[0].method)


def _check_distinct(attributions: Sequence[Attribution]) -> None:
    named = Counter((a.generation.generator, a.generation.prompt, a.generation.seed, a.method) for a in attributions)
    for (_, prompt, seed, name), times in named.items():
        if times > 1:
            raise TagxaiError(
                f"{times} explanations are by {name!r} of the prompt {prompt!r} with seed {seed}: expected one of "
                "each, so evaluate them apart"
            )


def _measured(
    todo: Sequence[tuple[PlanEntry, CellName]],
    entry: PlanEntry,
    attribution: Attribution,
    generator: Generator,
    *,
    explain_again: bool,
) -> dict[CellName, Measurement]:
    """The cells of one clip and method, which explains the clip again or else has explained it."""
    clip = attribution.generation
    try:
        with blaming(f"method {entry.label!r}"), seeded(clip.seed):
            method = entry.method() if explain_again else make_method(entry.name, entry.settings)
            measured = attribute(method, generator, clip) if explain_again else attribution
    except TagxaiError as error:
        return {cell: Measurement(*cell, **without_value(error)) for _, cell in todo}
    found = {}
    for metric, cell in todo:
        try:
            with blaming(f"metric {metric.label!r}"), seeded(clip.seed):
                found[cell] = Measurement(*cell, value=measure(metric.metric(), generator, measured, method))
        except TagxaiError as error:
            found[cell] = Measurement(*cell, **without_value(error))
    return found
