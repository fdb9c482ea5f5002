"""One call for every metric: those of an explanation, and those that ask its method again."""

from __future__ import annotations

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric, Metric
from tagxai.registering.registry import registry


def measure(metric: Metric, generator: Generator, attribution: Attribution, method: Method | None = None) -> float:
    """The metric's number for an explanation. A metric of methods asks `method` again; by default the registered one
    that the attribution names, with the settings that it has saved. Raises TagxaiError.
    """
    if not isinstance(metric, MethodMetric):
        return metric.score(generator, attribution.generation, attribution)
    metric.check_supported(generator)
    again = method or registry().method(attribution.method).configure(attribution.settings)
    return metric.score_method(generator, attribution.generation, attribution, again)
