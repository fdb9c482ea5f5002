"""A page for each clip of a benchmark, with the explanations by all methods, to hear why one of them lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tagxai import storage
from tagxai.benchmark.artefacts import clips_on, explanations_of
from tagxai.benchmark.clip_spec import ClipSpec, content_key
from tagxai.benchmark.planned_run import PlannedRun
from tagxai.benchmark.results import Results
from tagxai.benchmark.store import Store
from tagxai.contract.attribution import Attribution
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation
from tagxai.lazy import torch
from tagxai.report.content import content_of
from tagxai.report.page import render

ClipPages = dict[tuple[str, str, int], str]
"""The address of a clip's page, beside the benchmark's, by (generator, prompt, seed)."""

FOLDER = "pages"
_OURS = re.compile(r"[0-9a-f]{16}\.html")

MOST = 100
"""Clips that get a page; a benchmark may have thousands."""


def write_clip_pages(results: Results, folder: Path) -> ClipPages:
    """Pages of the first clips that have explanations; one that exists already is kept."""
    store, pages = Store(folder), ClipPages()
    specs = ((run, spec) for run in results.runs for spec in run.clips())
    for run, spec in islice(specs, MOST):
        key = spec.label, spec.prompt, spec.seed
        name = f"{content_key({'explanations': list(_keys(store, run, spec))})[:16]}.html"
        if key not in pages and ((folder / FOLDER / name).is_file() or _write(store, run, spec, folder, name)):
            pages[key] = f"{FOLDER}/{name}"
    return pages


def stale_pages(folder: Path, pages: ClipPages) -> list[str]:
    """The pages of an earlier plan; files with names of other kinds are somebody else's."""
    names = [f"{FOLDER}/{file.name}" for file in (folder / FOLDER).glob("*.html") if _OURS.fullmatch(file.name)]
    return [name for name in names if name not in pages.values()]


def _keys(store: Store, run: PlannedRun, spec: ClipSpec) -> Iterator[str]:
    """What decides a page: the explanations of the clip that have their cells."""
    for method, metrics in run.work_on(spec):
        if any(store.is_done(spec.cell(method, metric)) for metric in metrics):
            yield spec.explanation(method)


def _write(store: Store, run: PlannedRun, spec: ClipSpec, folder: Path, name: str) -> bool:
    """Whether there is anything to show."""
    found = store.find(clips_on(torch.device("cpu")), spec.key)
    if found is None:
        return False
    kind = explanations_of(found[0])
    attributions: dict[str, Attribution] = {}
    for method, _ in run.work_on(spec):
        explained = store.find(kind, spec.explanation(method))
        if explained is not None:
            attributions[method.label] = explained[0]
    if not attributions:
        return False
    comparison = Comparison({label: Explanation(each) for label, each in attributions.items()})
    with storage.whole_file(storage.output_folder(folder / FOLDER) / name) as temporary:
        temporary.write_text(render(content_of(comparison)), encoding="utf-8")
    return True
