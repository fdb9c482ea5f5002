"""What the clips of a job have done together before each is worked on: making them, and explaining them in batches.

Where that fails, nothing is kept: each is made and explained, and blamed, when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter

from tagxai.benchmark import models
from tagxai.benchmark.artefacts import clips_on, explanations_of
from tagxai.benchmark.clip_spec import ClipSpec
from tagxai.benchmark.guards import blaming
from tagxai.benchmark.models import ModelSpec
from tagxai.benchmark.plan_entry import PlanEntry
from tagxai.benchmark.sentinel import Sentinel
from tagxai.benchmark.store import Store, seed_of
from tagxai.contract.attribution import Attribution
from tagxai.contract.request import Request
from tagxai.contract.seeding import seeded
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.lazy import torch


def request_of(spec: ClipSpec) -> Request:
    return Request(spec.prompt, spec.duration, spec.seed, settings=spec.sampling)


def make_clips(store: Store, model: ModelSpec, specs: Sequence[ClipSpec], limit: float | None) -> None:
    """Make the clips that are missing in one batch; `limit` is the time limit of one, in seconds."""
    kind = clips_on(torch.device("cpu"))
    missing = [spec for spec in specs if store.find(kind, spec.key) is None]
    if len(missing) < 2:
        return
    generator = model.load()
    with (
        suppress(TagxaiError),
        blaming("the generator", limit and limit * len(missing)),
        seeded(seed_of(missing[0].key)),
    ):
        models.check_identity(generator, missing[0].generator, model.spec)
        started = perf_counter()
        clips = generator.generate_many([request_of(spec) for spec in missing])
        seconds = perf_counter() - started
        for spec, clip in zip(missing, clips, strict=True):
            store.keep(kind, spec.key, clip, seconds / len(missing))


def explain_clips(
    store: Store, model: ModelSpec, asked: Iterable[tuple[PlanEntry, Sequence[ClipSpec]]], limit: float | None
) -> None:
    """Explain the clips that each method is asked for, by those methods that gain by a batch."""
    for entry, specs in asked:
        if entry.distribution or not entry.method().explains_together:
            continue
        kind = clips_on(torch.device("cpu"))
        known = [(spec, found[0]) for spec in specs if (found := store.find(kind, spec.key)) is not None]
        missing = [pair for pair in known if store.find(explanations_of(pair[1]), pair[0].explanation(entry)) is None]
        if len(missing) > 1:
            _explain(store, model, entry, missing, limit)


def _explain(
    store: Store,
    model: ModelSpec,
    entry: PlanEntry,
    clips: Sequence[tuple[ClipSpec, Generation]],
    limit: float | None,
) -> None:
    generator, key = model.load(), clips[0][0].explanation(entry)
    try:
        models.check_identity(generator, clips[0][0].generator, model.spec)
        with blaming("the generator", limit):
            sentinel = Sentinel(generator, clips[0][1])
    except TagxaiError:
        return
    try:
        with blaming(f"method {entry.label!r}", limit and limit * len(clips)), seeded(seed_of(key)):
            found = entry.method().attribute_many(generator, [clip for _, clip in clips])
            sentinel.check()
    except TagxaiError:
        sentinel.clear()
        models.forget_loaded()  # it may have been harmed
        return
    for (spec, clip), attribution in zip(clips, found, strict=True):
        if isinstance(attribution, Attribution) and attribution.generation.sounds_as(clip):
            own = replace(attribution, generation=clip)
            store.keep(explanations_of(clip), spec.explanation(entry), own, own.cost.seconds)
