"""Metrics of explanations that were made earlier, beside controls on the same clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from tagxai.benchmark import controls
from tagxai.benchmark.cells import measure, told
from tagxai.benchmark.guards import seeded
from tagxai.benchmark.plan import Part
from tagxai.benchmark.results import Results
from tagxai.benchmark.store import Row
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import TagxaiError
from tagxai.explaining.comparison import COMPARISON, Comparison
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.loading import make_method

Cell: TypeAlias = tuple[str, str, int, str, str]
"""Generator, prompt, seed, method and metric."""


def load_attributions(folders: Sequence[Path]) -> list[Attribution]:
    """Of folders written by `tagxai explain`, also those with several methods. Raises DamagedFileError."""
    found: list[Attribution] = []
    for folder in folders:
        if (folder / COMPARISON).is_file():
            found += [each.attribution for each in Comparison.load(folder).explanations.values()]
        else:
            found.append(Explanation.load(folder).attribution)
    return found


def evaluate(
    attributions: Sequence[Attribution],
    metrics: Sequence[Part],
    generators: Mapping[str, Generator],
    *,
    on_progress: OnProgress | None = None,
) -> Results:
    """`generators` are the models of the clips, by the names that the clips have for them.

    Raises TagxaiError where tables could not tell two explanations from one another.
    """
    named = Counter((a.generation.generator, a.generation.prompt, a.generation.seed, a.method) for a in attributions)
    for (_, prompt, seed, name), times in named.items():
        if times > 1:
            raise TagxaiError(
                f"{times} explanations are by {name!r} of the prompt {prompt!r} with seed {seed}: expected one of "
                "each, so evaluate them apart"
            )
    methods: dict[str, Part] = {part.label: part for part in controls.parts(Part)}
    rows: dict[Cell, Row] = {}
    work = [(attribution, part) for attribution in attributions for part in (None, *methods.values())]
    for number, (attribution, control) in enumerate(work):
        clip = attribution.generation
        generator = generators[clip.generator]
        part = control or Part(attribution.method, attribution.method, "saved", dict(attribution.settings))
        if not generator.offers.issuperset(part.needs):
            continue
        methods.setdefault(part.label, part)
        todo = [
            (metric, cell)
            for metric in metrics
            if generator.offers.issuperset(metric.needs)
            and (cell := (clip.generator, clip.prompt, clip.seed, part.label, metric.label)) not in rows
        ]
        if todo:
            rows |= _measured(todo, part, attribution, generator, asked=control is not None)
        if on_progress is not None:
            on_progress(Progress(number + 1, len(work), f"{part.label}: {clip.prompt}"))
    return Results(list(rows.values()), list(methods.values()), list(metrics), attributions[0].method)


def _measured(
    todo: Sequence[tuple[Part, Cell]], part: Part, attribution: Attribution, generator: Generator, *, asked: bool
) -> dict[Cell, Row]:
    """The cells of one clip and method; a method that is `asked` explains the clip anew."""
    clip = attribution.generation
    rows = {}
    try:
        with told(f"method {part.label!r}", None), seeded(clip.seed):
            method = part.method() if asked else make_method(part.name, part.settings)
            shown = method.attribute(generator, clip) if asked else attribution
    except TagxaiError as error:
        return {cell: Row(*cell, error=str(error)) for _, cell in todo}
    for metric, cell in todo:
        try:
            with told(f"metric {metric.label!r}", None), seeded(clip.seed):
                rows[cell] = Row(*cell, value=measure(metric.metric(), generator, clip, shown, method))
        except TagxaiError as error:
            rows[cell] = Row(*cell, error=str(error))
    return rows
