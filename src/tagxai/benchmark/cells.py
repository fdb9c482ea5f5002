"""The work on one clip: make it, explain it by each method, score each explanation; what is there is not made again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter
from typing import Any

from tagxai.benchmark.guards import Sentinel, held, seeded, time_limit
from tagxai.benchmark.plan import Part
from tagxai.benchmark.store import Clip, Row, Store, finite
from tagxai.contract.attribution import Attribution, installed_versions
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.explaining.comparison import passes
from tagxai.explaining.loading import choose_device, choose_dtype, load_generator
from tagxai.lazy import torch
from tagxai.registering.registry import registry
from tagxai.scoring import cached


@dataclass(frozen=True)
class Model:
    """How a generator is loaded."""

    spec: str
    device: str
    dtype: str
    threads: int | None

    def load(self) -> Generator:
        """Once a process, as long as no other is asked for; it remembers the truth of the last clip."""
        return _load(self)


@lru_cache(maxsize=1)
def _load(model: Model) -> Generator:
    device = choose_device(model.device)  # type: ignore[arg-type]
    generator = load_generator(model.spec, device=device, dtype=choose_dtype(model.dtype, device))  # type: ignore[arg-type]
    threads = model.threads or generator.threads
    if threads is not None:
        torch.set_num_threads(threads)
    # asked by every metric of localisation, and made by new clips
    generator.truth = lru_cache(maxsize=1)(generator.truth)  # type: ignore[method-assign]
    return generator


def inspect(model: Model) -> dict[str, Any]:
    """A generator's identity (all that decides its results), what it offers, and where it runs."""
    generator = model.load()
    entry = registry().generators[model.spec.partition(":")[0]]
    device = str(generator.encode_prompt(["a"]).embeddings.device)
    return {
        "identity": {
            "name": entry.name,
            "origin": entry.origin,
            "weights": fingerprint(generator),
            "device": device.partition(":")[0],
            "dtype": choose_dtype(model.dtype, device.partition(":")[0]),  # type: ignore[arg-type]
            "versions": installed_versions(),
        },
        "offers": sorted(generator.offers),
        "max_duration": generator.max_duration,
        "machine": {
            "device": torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine(),
            "threads": torch.get_num_threads(),
        },
    }


def fingerprint(generator: Generator) -> str:
    """Of all weights, and of plain settings that a generator holds as attributes."""
    whole = hashlib.sha256()
    for name, value in held(generator).items():
        if isinstance(value, torch.nn.Module):
            for key, tensor in value.state_dict().items():
                _add(whole, f"{name}.{key}", tensor)
        elif isinstance(value, torch.Tensor):
            _add(whole, name, value)
        elif isinstance(value, (int, float, str, tuple)) and name != "source":  # a moved model is the same model
            whole.update(f"{name}={value!r}".encode())
    return whole.hexdigest()[:32]


def _add(whole: Any, name: str, tensor: torch.Tensor) -> None:
    whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    if tensor.device.type != "meta":
        whole.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)


Todo = tuple[tuple[Part, tuple[Part, ...]], ...]
"""Methods, each with metrics."""


@dataclass(frozen=True)
class Job:
    """The cells of one clip that are yet to be computed, for a process that knows nothing else."""

    folder: str
    model: Model
    clip: Clip
    todo: Todo
    time_limit: float | None

    @property
    def cells(self) -> int:
        return sum(len(metrics) for _, metrics in self.todo)


OnCell = Callable[[Row], None]


def work(job: Job, on_cell: OnCell | None = None) -> int:
    """Compute the cells of a job into its folder; returns how many failed. A cell that fails says so in its file."""
    store = Store(job.folder)
    undone = todo(store, job.clip, job.todo)  # of a job that is run again, some are done
    failed = 0

    def finish(method: Part, metric: Part, **found: Any) -> None:
        nonlocal failed
        failed += found.get("error") is not None
        row = Row(job.clip.label, job.clip.prompt, job.clip.seed, method.label, metric.label, **found)
        store.write_cell(job.clip.cell(method, metric), row)
        if on_cell is not None:
            on_cell(row)

    def fail(error: str, todo: Sequence[tuple[Part, Sequence[Part]]]) -> None:
        for method, metrics in todo:
            for metric in metrics:
                finish(method, metric, error=error)

    if not undone:
        return failed
    generator = job.model.load()
    try:
        with told("the generator", job.time_limit):
            generation, generate_seconds = _clip(store, job.clip, generator)
            sentinel = Sentinel(generator, generation)
    except TagxaiError as error:
        fail(str(error), undone)
        return failed
    for method, metrics in undone:
        found: dict[str, Any] = {"generate_seconds": generate_seconds}
        try:
            with told(f"method {method.label!r}", job.time_limit):
                attribution, found["seconds"] = _explanation(store, job.clip, method, generator, generation, sentinel)
        except TagxaiError as error:
            fail(str(error), [(method, metrics)])
            generator, sentinel = _afresh(job, generation, sentinel)
            continue
        found["passes"] = passes(attribution.cost)
        for metric in metrics:
            name = job.clip.cell(method, metric)
            try:
                with told(f"metric {metric.label!r}", job.time_limit), cached(store.folder / "scores"), _seeded(name):
                    value = measure(metric.metric(), generator, generation, attribution, method.method())
                    sentinel.check(outputs=False)
                finish(method, metric, value=value, **found)
            except TagxaiError as error:
                finish(method, metric, error=str(error), **found)
                generator, sentinel = _afresh(job, generation, sentinel)
    return failed


def measure(
    metric: Metric, generator: Generator, generation: Generation, attribution: Attribution, method: Method
) -> float:
    """A metric's value; metrics that ask the method again are given it."""
    metric.check_supported(generator)
    ask_again = getattr(metric, "score_method", None)
    if ask_again is not None:
        return finite(ask_again(generator, generation, attribution, method))
    return finite(metric.score(generator, generation, attribution))


def _clip(store: Store, clip: Clip, generator: Generator) -> tuple[Generation, float]:
    device = generator.encode_prompt([clip.prompt]).embeddings.device
    kept = store.read_clip(clip.key, device)
    if kept is not None:
        return kept
    started = perf_counter()
    with _seeded(clip.key):
        made = generator.generate(clip.prompt, duration=clip.duration, seed=clip.seed, **clip.sampling)  # type: ignore[arg-type]
    seconds = perf_counter() - started
    store.write_clip(clip.key, made, seconds)
    return store.read_clip(clip.key, device) or (made, seconds)


def _explanation(
    store: Store, clip: Clip, method: Part, generator: Generator, generation: Generation, sentinel: Sentinel
) -> tuple[Attribution, float]:
    name = clip.explanation(method)
    kept = store.read_explanation(name, generation)
    if kept is not None:
        return kept
    started = perf_counter()
    with _seeded(name):
        attribution = method.method().attribute(generator, generation)
    seconds = perf_counter() - started
    if not isinstance(attribution, Attribution):
        raise TagxaiError(f"it gave {type(attribution).__name__}, not an Attribution")
    if not attribution.generation.sounds_as(generation):
        raise TagxaiError("it explains another clip than the one it was given")
    sentinel.check()
    store.write_explanation(name, replace(attribution, generation=generation), seconds)
    return store.read_explanation(name, generation) or (attribution, seconds)


def _afresh(job: Job, generation: Generation, sentinel: Sentinel) -> tuple[Generator, Sentinel]:
    """The same generator if what failed left it as it was, else one that is loaded again."""
    try:
        sentinel.check()
        return sentinel.generator, sentinel
    except Exception:
        sentinel.clear()
        _load.cache_clear()
        generator = job.model.load()
        return generator, Sentinel(generator, generation)


@contextmanager
def told(what: str, limit: float | None) -> Iterator[None]:
    """Whatever goes wrong in the block becomes a TagxaiError of one sentence that begins with `what`."""
    try:
        with time_limit(limit):
            yield
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        text = " ".join((str(error) if isinstance(error, TagxaiError) else f"{type(error).__name__}: {error}").split())
        raise TagxaiError(text if text.startswith(what) else f"{what} failed: {text}") from error


def _seeded(name: str) -> Any:
    return seeded(int(name[:8], 16))


def todo(store: Store, clip: Clip, pairs: Iterable[tuple[Part, Iterable[Part]]]) -> Todo:
    """The methods of a clip with those of their metrics whose cells are not done."""
    undone = [
        (method, tuple(m for m in metrics if not store.is_done(clip.cell(method, m)))) for method, metrics in pairs
    ]
    return tuple((method, metrics) for method, metrics in undone if metrics)
