"""The three hooks through which generators, methods and metrics are registered. Each returns classes.

A plugin is a package with an entry point in the group `tagxai` that names a module (or object) with such functions:

    from tagxai import hookimpl

    @hookimpl
    def tagxai_methods():
        return [MyMethod]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pluggy

from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric

PROJECT = "tagxai"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class MethodFamily(NamedTuple):
    """Methods named `PREFIX:NAME` from one distribution, with a line about each; `resolve` creates a name's class."""

    distribution: str
    summaries: Mapping[str, str]
    resolve: Callable[[str], type[Method]]


@hookspec
def tagxai_generators() -> Sequence[type[Generator]]:  # type: ignore[empty-body]
    """Generator classes, each with a `name`."""


@hookspec
def tagxai_methods() -> Sequence[type[Method]]:  # type: ignore[empty-body]
    """Method classes, each with a `name`."""


@hookspec
def tagxai_metrics() -> Sequence[type[Metric]]:  # type: ignore[empty-body]
    """Metric classes, each with a `name`."""
