"""Intervals of means: right where they are printed, and absent where they cannot be."""

import math

import pytest
import torch

from tagxai.metrics.intervals import FEWEST, clopper_pearson, mean_interval, student_quantile


def drawn(n, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_interval_is_that_of_the_normal_law_for_many_clips():
    values = drawn(4000)
    mean, low, high = mean_interval(values)
    margin = 1.96 * values.std().item() / math.sqrt(4000)
    assert mean == pytest.approx(values.mean().item())
    assert (low, high) == pytest.approx((mean - margin, mean + margin), abs=2e-3)
    narrow = mean_interval(values, level=0.5)
    assert low < narrow.low < narrow.high < high


def test_clips_that_are_hard_for_both_do_not_widen_a_difference():
    hard, noise = drawn(50), 0.01 * drawn(50, 1)
    better = hard + 0.1 + noise
    assert mean_interval(better).low < 0 < mean_interval(better).high
    assert 0.09 < mean_interval(better, hard).low < mean_interval(better, hard).high < 0.11


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([1.0], (0, 1)),
        ([0.4], None),
        ([0.4, 0.6], (0, 1)),
        ([0.1 * k for k in range(FEWEST - 1)], (0, 2)),
        ([0.1 * k for k in range(29)], (0, math.inf)),
        ([0.1 * k for k in range(29)], None),
        ([0.7] * 60, (0, 1)),
        ([0.1 + 0.2, 0.3] * 30, None),  # equal but for rounding
        ([1.0] * 60, None),  # nobody knows whether more is possible
        ([1.0] * 60, (1, math.inf)),
        ([0.0] * 5 + [0.5], (0, 1)),
    ],
)
def test_no_interval_is_given_where_none_covers(values, bounds):
    found = mean_interval(torch.tensor(values, dtype=torch.float64), bounds=bounds)
    assert found == (pytest.approx(sum(values) / len(values)), None, None)
    assert "[" not in found.text()


@pytest.mark.parametrize(
    ("values", "others", "bounds"),
    [
        ([math.nan] * 40, None, (0, 1)),
        ([math.nan] + [0.5, 0.25] * 30, None, None),
        ([1.0, 2.0, math.inf] + [0.5] * 30, None, None),
        ([0.5] * 40, [math.nan] * 40, (-1, 1)),
        ([1e300, -1e300] * 20, None, None),
        ([2.0, 3.0] * 20, None, (0, 1)),  # beyond what is possible
        ([0.1 + 1e-9 * k for k in range(40)], None, (0, 1)),  # of float32, which does not tell them apart
        ([0.5 + 1e-9 * k for k in range(40)], [0.5] * 40, (-1, 1)),
    ],
)
def test_no_interval_is_made_of_what_is_no_number_or_rounding_alone(values, others, bounds):
    given = [None if each is None else torch.tensor(each, dtype=torch.float64) for each in (values, others)]
    found = mean_interval(*given, bounds=bounds)
    assert found[1:] == (None, None)


@pytest.mark.parametrize(("hits", "n"), [(0, 2), (2, 2), (3, 7), (12, 12), (59, 60), (1999, 2000)])
def test_hits_and_misses_have_exact_intervals(hits, n):
    """At the lower bound, so many hits or more have a probability of 2.5 %; at the upper, so many or fewer."""
    values = torch.tensor([1.0] * hits + [0.0] * (n - hits))
    _, low, high = mean_interval(values, bounds=(0, 1))
    assert (low, high) == pytest.approx(clopper_pearson(hits, n, 0.025))

    def probability(k, p):
        return math.exp(math.log(math.comb(n, k)) + k * math.log(p) + (n - k) * math.log1p(-p))

    assert low == 0 if not hits else sum(probability(k, low) for k in range(hits, n + 1)) == pytest.approx(0.025)
    assert high == 1 if hits == n else sum(probability(k, high) for k in range(hits + 1)) == pytest.approx(0.025)
    doubled = mean_interval(values * 2 - 1, bounds=(-1, 1))
    assert doubled[1:] == pytest.approx((2 * low - 1, 2 * high - 1))


def test_values_that_miss_a_bound_by_rounding_alone_lie_on_it():
    values = torch.tensor([0.0] * 10 + [7e-17, -7e-17], dtype=torch.float64)
    assert mean_interval(values, bounds=(0, 1)) == (0.0, *clopper_pearson(0, 12, 0.025))
    assert mean_interval(1 - 1e-8 * values.sign().abs(), bounds=(0, 1)) == (1.0, *clopper_pearson(12, 12, 0.025))
    assert mean_interval(values, bounds=(0, math.inf)) == (0.0, None, None)


def test_an_interval_stays_within_the_bounds_of_its_metric():
    values = torch.tensor([0.0] * 10 + [1.0, 0.99])
    assert mean_interval(values, bounds=(0, 1)).low == 0
    assert mean_interval(values, bounds=(-9, 9)).low < 0


@pytest.mark.parametrize(("df", "expected"), [(1, 12.7062), (2, 4.30265), (11, 2.20099), (59, 2.001), (400, 1.96591)])
def test_student_quantiles_are_those_of_the_tables(df, expected):
    assert student_quantile(0.975, df) == pytest.approx(expected, rel=1e-5)


def test_a_long_right_tail_reaches_further_to_the_right():
    values = drawn(30).exp()
    mean, low, high = mean_interval(values)
    assert high - mean > 1.2 * (mean - low)
    mirrored = mean_interval(-values)
    assert mirrored == pytest.approx((-mean, -high, -low))


@pytest.mark.parametrize(
    ("clips", "options", "wrong"), [(2, {"level": 1.0}, "a level between 0 and 1"), (0, {}, "at least one clip")]
)
def test_an_impossible_interval_is_refused(clips, options, wrong):
    with pytest.raises(ValueError, match=wrong):
        mean_interval(torch.ones(clips), **options)
