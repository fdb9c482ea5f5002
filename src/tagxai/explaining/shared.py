"""Models that are given by name, loaded once for all the calls of a process that name them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tagxai.contract.generator import Generator
from tagxai.explaining.loading import load_generator

KEPT = 2
"""Models that stay loaded, the latest first: enough to go back and forth between two."""


def shared_generator(spec: str) -> Generator:
    """The generator of a name, or of `name:source`, on the CPU: loaded once, and again where its folder has changed.

    Whoever changes a model's weights should load one of their own, with `load_generator`.
    """
    return _loaded(spec, _changed(spec.partition(":")[2]))


@lru_cache(maxsize=KEPT)
def _loaded(spec: str, changed: float) -> Generator:
    return load_generator(spec)


def _changed(source: str) -> float:
    """When the newest file of a folder was written; 0 for what is not a folder."""
    folder = Path(source).expanduser()
    if not source or not folder.is_dir():
        return 0.0
    return max((file.stat().st_mtime for file in folder.iterdir() if file.is_file()), default=0.0)
