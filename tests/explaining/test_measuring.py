"""One call for every metric."""

import pytest

from tagxai import Metric, TagxaiError
from tagxai.errors import UnsupportedError
from tagxai.explaining.measuring import measure


class Constant(Metric):
    name, family, higher_is_better, bounds = "constant", "complexity", True, (0.0, 1.0)

    def __init__(self, value):
        self.value = value

    def score(self, generator, generation, attribution):
        return self.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_a_finite_number_is_refused(value, generator, explanation):
    with pytest.raises(TagxaiError, match=r"^metric 'constant' gave (nan|inf), which is not a finite number$"):
        measure(Constant(value), generator, explanation)
    assert measure(Constant(1), generator, explanation) == 1.0


def test_what_a_metric_needs_is_checked_before_it_is_asked(generator, explanation, monkeypatch):
    monkeypatch.setattr(Constant, "needs", frozenset({"truth"}))
    with pytest.raises(UnsupportedError, match="metric 'constant' needs truth"):
        measure(Constant(1.0), generator, explanation)
