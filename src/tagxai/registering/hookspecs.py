"""The hooks through which generators, methods, metrics, classifiers and sets of prompts are registered, as classes.

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

from tagxai.classifiers import Classifier
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.contract.prompt_set import PromptSet

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


@hookspec
def tagxai_classifiers() -> Sequence[type[Classifier]]:  # type: ignore[empty-body]
    """Classifier classes, each with a `name`, by which metrics take them: `kl_f(classifier=NAME)`."""


@hookspec
def tagxai_prompt_sets() -> Sequence[type[PromptSet]]:  # type: ignore[empty-body]
    """Classes of sets of prompts, each with a `name`, by which benchmarks take them: `--prompts NAME:ARGUMENT`."""
