"""One call for every metric: those of an explanation, and those that ask its method again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tagxai.contract.attribution import Attribution
from tagxai.contract.foreign import ask_foreign, is_built_in
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric, Metric
from tagxai.contract.model_state import check_unspoilt, model_kept, values_kept
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.lazy import torch
from tagxai.registering.registry import registry


def measure(metric: Metric, generator: Generator, attribution: Attribution, method: Method | None = None) -> float:
    """The metric's value for an explanation. A metric of methods asks `method` again; by default the registered one
    that the attribution names, with the settings that it has saved.

    Raises TagxaiError, also where the value is not a finite number.
    """
    metric.check_supported(generator)
    if isinstance(metric, MethodMetric):
        again = method or registry().method(attribution.method).configure(attribution.settings)
        given = (generator, attribution.generation, attribution, again)
        found = _call(metric, again, generator, metric.score_method, *given)
    else:
        found = _call(metric, None, generator, metric.score, generator, attribution.generation, attribution)
    value = _number(metric, found)
    if not math.isfinite(value):
        raise TagxaiError(f"metric {metric.name!r} gave {value}, which is not a finite number")
    return value


def _call(metric: Metric, method: Method | None, generator: Generator, function: Any, *arguments: Any) -> Any:
    """A metric's answer; where it, or the method that it asks again, is from outside, the model is lent to it."""
    check_unspoilt(generator)
    if all(is_built_in(type(each)) for each in (metric, method) if each is not None):
        return function(*arguments)
    what = f"metric {metric.name!r}"
    with model_kept(generator, what), values_kept(*_tensors_of(arguments)):
        return ask_foreign(what, function, *arguments)


def _tensors_of(arguments: Any) -> Iterator[torch.Tensor]:
    for each in arguments:
        if isinstance(each, Attribution):
            yield from (each.scores, *([] if each.deviation is None else [each.deviation]))
        if isinstance(each, Generation):
            yield from (each.waveform, *each.record.values())


def _number(metric: Metric, found: Any) -> float:
    """A metric's answer as a number. Raises TagxaiError for text, None, truth values and complex numbers."""
    if isinstance(found, (bool, str, bytes)):
        raise TagxaiError(f"metric {metric.name!r} gave {found!r:.40}, which is not a number")
    try:
        return float(found)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise TagxaiError(f"metric {metric.name!r} gave {type(found).__name__}, which is not a number") from None
