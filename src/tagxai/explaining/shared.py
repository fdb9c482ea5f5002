"""Models that are given by name, loaded once for all the calls of a process that name them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from tagxai.contract.generator import Generator
from tagxai.contract.magnitude import shown
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import load_generator
from tagxai.storage import contents

KEPT = 2
"""Models that stay loaded, the latest first: enough to go back and forth between two."""


def shared_generator(spec: Any) -> Generator:
    """The generator of a name, or of `name:source`, on the CPU: loaded once, and again where its folder has changed.

    Whoever changes a model's weights should load one of their own, with `load_generator`. Raises TagxaiError, also
    where `spec` is no name.
    """
    if not isinstance(spec, str):
        raise TagxaiError(f"a generator is a name, a NAME:SOURCE or a Generator, not {shown(spec)}")
    folder = Path(spec.partition(":")[2]).expanduser()
    return _loaded(spec, contents.state(folder) if contents.exists(folder) else ())


@lru_cache(maxsize=KEPT)
def _loaded(spec: str, state: contents.State) -> Generator:
    return load_generator(spec)
