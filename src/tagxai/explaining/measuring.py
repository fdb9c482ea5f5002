"""One call for every metric: those of an explanation, and those that ask its method again."""

from __future__ import annotations

import math

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric, Metric
from tagxai.errors import TagxaiError
from tagxai.registering.registry import registry


def measure(metric: Metric, generator: Generator, attribution: Attribution, method: Method | None = None) -> float:
    """The metric's value for an explanation. A metric of methods asks `method` again; by default the registered one
    that the attribution names, with the settings that it has saved.

    Raises TagxaiError, also where the value is not a finite number.
    """
    metric.check_supported(generator)
    if isinstance(metric, MethodMetric):
        again = method or registry().method(attribution.method).configure(attribution.settings)
        value = float(metric.score_method(generator, attribution.generation, attribution, again))
    else:
        value = float(metric.score(generator, attribution.generation, attribution))
    if not math.isfinite(value):
        raise TagxaiError(f"metric {metric.name!r} gave {value}, which is not a finite number")
    return value
