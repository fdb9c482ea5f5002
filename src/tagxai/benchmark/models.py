"""A benchmark's models: loaded once in each process, and identified by their weights."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tagxai.benchmark.sentinel import stored_attributes
from tagxai.contract.attribution import installed_versions
from tagxai.contract.generator import Generator
from tagxai.contract.request import read_settings
from tagxai.explaining.loading import Device, Dtype, choose_device, choose_dtype, load_generator
from tagxai.lazy import torch
from tagxai.registering.registry import registry


@dataclass(frozen=True)
class ModelSpec:
    """How a generator is loaded."""

    spec: str
    device: Device
    dtype: Dtype
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
            "name": entry.name,
            "origin": entry.origin,
            "weights": fingerprint(generator),
            "device": device.partition(":")[0],
            "dtype": choose_dtype(model.dtype, device.partition(":")[0]),
            "versions": installed_versions(),
        },
        "offers": sorted(generator.offers),
        "max_duration": generator.max_duration,
        "sampling": {each.name: read[each.name] if each.name in asked.sampling else None for each in declared},
        "machine": {
            "device": torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine(),
            "threads": torch.get_num_threads(),
        },
    }


def fingerprint(generator: Generator) -> str:
    """A hash of all weights, and of the plain settings that a generator has as attributes."""
    whole = hashlib.sha256()
    for name, value in stored_attributes(generator).items():
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
