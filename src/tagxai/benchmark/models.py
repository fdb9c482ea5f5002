"""A benchmark's models: loaded once in each process, and identified by all that decides their results."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tagxai.contract.generator import Generator
from tagxai.contract.request import read_settings
from tagxai.errors import TagxaiError
from tagxai.explaining.identifying import model_identity
from tagxai.explaining.loading import choose_device, choose_dtype, load_generator
from tagxai.lazy import torch
from tagxai.registering.registry import registry


@dataclass(frozen=True)
class ModelSpec:
    """How a generator is loaded."""

    spec: str
    device: str
    dtype: str
    threads: int | None

    def load(self) -> Generator:
        """The generator, kept until another is asked for; it remembers the truth of the last clip."""
        return _load(self)


@lru_cache(maxsize=1)
def _load(model: ModelSpec) -> Generator:
    device = choose_device(model.device)
    generator = load_generator(model.spec, device=device, dtype=choose_dtype(model.dtype, device))
    threads = model.threads or generator.threads
    if threads is not None:
        torch.set_num_threads(threads)
    # every metric of localisation asks for it, and some generators answer by making clips
    generator.truth = lru_cache(maxsize=1)(generator.truth)  # type: ignore[method-assign]
    return generator


def check_identity(generator: Generator, expected: Mapping[str, Any], spec: str) -> None:
    """Raises TagxaiError where a model is not the one that the plan met: its files were replaced since."""
    found = generator.identity()
    if (found.weights, found.settings) != (expected["weights"], expected.get("settings", found.settings)):
        raise TagxaiError(f"the model {spec!r} was changed while the benchmark ran; start it again")


def forget_loaded() -> None:
    """The next `load` loads from the source again."""
    _load.cache_clear()


@dataclass(frozen=True)
class Inspection:
    """A model under the sampling settings that a plan gives."""

    model: ModelSpec
    sampling: Mapping[str, Any]


def inspect(asked: Inspection) -> dict[str, Any]:
    """A generator's identity (all that decides its results), what it offers, how it samples, and where it runs.

    Raises TagxaiError for sampling settings that it does not declare or whose values it refuses.
    """
    model = asked.model
    generator = model.load()
    declared = generator.sampling_settings()
    read = read_settings(declared, asked.sampling, f"generator {model.spec!r}")
    entry = registry().entry("generator", model.spec.partition(":")[0])
    device = str(generator.encode_prompt(["a"]).embeddings.device)
    return {
        "identity": {
            **model_identity(generator),
            "name": entry.name,
            "origin": entry.origin,
            "dtype": choose_dtype(model.dtype, device.partition(":")[0]),
        },
        "offers": sorted(generator.offers),
        "max_duration": generator.max_duration,
        "sampling": {each.name: read[each.name] if each.name in asked.sampling else None for each in declared},
        "machine": {
            "device": torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine(),
            "threads": torch.get_num_threads(),
        },
    }
