"""The names of what is installed, for notebooks."""

from __future__ import annotations

from collections.abc import Collection

from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.registering.registry import registry


def list_methods(generator: str | Generator | None = None) -> list[str]:
    """The names of the installed methods; with `generator`, of those that it offers all that they need for."""
    known = registry()
    if generator is None:
        return list(known.methods)
    model = known.generator(generator.partition(":")[0]) if isinstance(generator, str) else generator
    return [name for name, entry in known.methods.items() if _works(entry.cls, model.offers)]


def _works(cls: type[Method], offers: Collection[Capability]) -> bool:
    """Whether a method works with what a generator offers, as it is or with its fallback."""
    return cls.needs <= set(offers) or bool(cls.fallback and cls.configure(cls.fallback).needed() <= set(offers))


def list_metrics() -> list[str]:
    """The names of the installed metrics."""
    return list(registry().metrics)


def list_generators() -> list[str]:
    """The names of the installed generators."""
    return list(registry().generators)
