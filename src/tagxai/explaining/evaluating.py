"""Metrics of explanations by name, as a notebook asks for them; `tagxai evaluate` adds controls and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.metric import Metric
from tagxai.errors import TagxaiError
from tagxai.explaining import measuring
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.shared import shared_generator
from tagxai.registering.registry import registry


def measure(metric: str | Metric, explanation: Attribution, *, generator: str | Generator | None = None) -> float:
    """The value of one metric, by its name or given, for an explanation.

    `generator` is the model of the clip; without it, the one that the clip names is loaded. Raises TagxaiError.
    """
    if not isinstance(explanation, Attribution):
        raise TagxaiError(f"measure takes an explanation, not {type(explanation).__name__}; see tagxai.evaluate")
    made = metric if isinstance(metric, Metric) else registry().metric(metric)()
    return measuring.measure(made, _model(explanation, generator), explanation)


@overload
def evaluate(
    explanations: Attribution, metrics: Sequence[str] | None = ..., *, generator: str | Generator | None = ...
) -> dict[str, float]: ...
@overload
def evaluate(
    explanations: Comparison, metrics: Sequence[str] | None = ..., *, generator: str | Generator | None = ...
) -> dict[str, dict[str, float]]: ...
@overload
def evaluate(
    explanations: Sequence[Attribution],
    metrics: Sequence[str] | None = ...,
    *,
    generator: str | Generator | None = ...,
) -> list[dict[str, float]]: ...
def evaluate(
    explanations: Attribution | Comparison | Sequence[Attribution],
    metrics: str | Sequence[str] | None = None,
    *,
    generator: str | Generator | None = None,
) -> dict[str, float] | dict[str, dict[str, float]] | list[dict[str, float]]:
    """The values of metrics by name: a dictionary for an explanation, one for each method of a comparison, a list of
    them for a list.

    Without `metrics`, those that take arithmetic alone, as far as they apply: where the truth of a clip is not known,
    those that compare with it are left out. With `metrics`, one that does not apply raises TagxaiError.
    """
    if isinstance(explanations, Attribution):
        return _values(explanations, metrics, generator)
    if isinstance(explanations, Comparison):
        each = {name: one.attribution for name, one in explanations.explanations.items()}
        return {name: _values(one, metrics, generator) for name, one in each.items()}
    if not isinstance(explanations, Sequence) or isinstance(explanations, str):
        raise TagxaiError(
            f"evaluate takes explanations, such as tagxai.explain returns, not {type(explanations).__name__} "
            f"{explanations!r:.60}"
        )
    return [_values(one, metrics, generator) for one in explanations]


def _values(
    explanation: Attribution, metrics: str | Sequence[str] | None, generator: str | Generator | None
) -> dict[str, float]:
    model = _model(explanation, generator)
    if metrics is not None:
        names = [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else metrics
        return {name: measure(name, explanation, generator=model) for name in names}
    found = {}
    for name, entry in registry().metrics.items():
        if entry.cls.expense == Metric.expense:
            try:
                found[name] = measure(name, explanation, generator=model)
            except TagxaiError:  # it does not apply to this clip
                continue
    return found


def _model(explanation: Attribution, generator: str | Generator | None) -> Generator:
    if isinstance(generator, Generator):
        return generator
    return shared_generator(generator or explanation.generation.generator)
