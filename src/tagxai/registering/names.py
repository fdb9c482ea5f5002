"""The names of what is installed, for notebooks."""

from __future__ import annotations

from tagxai.contract.generator import Generator
from tagxai.registering.registry import registry


def list_methods(generator: str | Generator | None = None) -> list[str]:
    """The names of the installed methods; with `generator`, of those that it offers all that they need for."""
    known = registry()
    if generator is None:
        return list(known.methods)
    model = known.generator(generator.partition(":")[0]) if isinstance(generator, str) else generator
    return [name for name, entry in known.methods.items() if entry.cls.needs <= model.offers]


def list_metrics() -> list[str]:
    """The names of the installed metrics."""
    return list(registry().metrics)


def list_generators() -> list[str]:
    """The names of the installed generators."""
    return list(registry().generators)
