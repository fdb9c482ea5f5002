"""Pairs, ranks, groups and variance components against slow restatements and closed forms."""

import itertools
import random
from statistics import fmean, pvariance, variance

import pytest
import torch

from tagxai.benchmark.measurement import Measurement
from tagxai.benchmark.pairs import Pair, every_pair, places
from tagxai.benchmark.statistics import holm, sign_flip, sign_flips
from tagxai.benchmark.variance import components, spreads
from tagxai.metrics.intervals import Interval


def apart(*pairs):
    return [Pair(first, second, Interval(1.0), 9, 0.001, 0.01, 1.0) for first, second in pairs]


def test_all_pairs_are_tested_and_corrected_together():
    rng = random.Random(0)
    methods = {
        name: {f"p{n}": rng.gauss(mean, 1) for n in range(10)} for name, mean in zip("abc", (0, 1, 3), strict=True)
    }
    del methods["c"]["p0"]
    found = every_pair(methods)
    assert [(pair.method, pair.other, pair.prompts) for pair in found] == [("a", "b", 10), ("a", "c", 9), ("b", "c", 9)]
    alone = []
    for pair in found:
        shared = [p for p in methods[pair.method] if p in methods[pair.other]]
        gaps = [methods[pair.method][p] - methods[pair.other][p] for p in shared]
        signs = itertools.product((1, -1), repeat=len(gaps))
        far = sum(abs(sum(s * g for s, g in zip(each, gaps, strict=True))) >= abs(sum(gaps)) - 1e-9 for each in signs)
        alone.append(far / 2 ** len(gaps))
        assert pair.interval.mean == pytest.approx(fmean(gaps))
    assert [pair.p for pair in found] == pytest.approx(alone)
    assert [pair.holm for pair in found] == pytest.approx(holm(alone))


def test_many_tests_at_once_are_the_tests_one_by_one():
    generator = torch.Generator().manual_seed(0)
    tests = [torch.randn(n, generator=generator) + 0.2 for n in (5, 20, 5, 16)]
    assert sign_flips(tests) == [sign_flip(test) for test in tests]


def test_groups_are_the_largest_sets_that_cannot_be_told_apart():
    means = {"a": 5.0, "b": 4.0, "c": 3.0, "d": 2.0, "e": 1.0}
    pairs = apart(("a", "d"), ("a", "e"), ("b", "e"))
    found = places(means, pairs, higher_is_better=True)
    together = {
        frozenset(names)
        for size in range(1, 6)
        for names in itertools.combinations(means, size)
        if not any({pair.method, pair.other} <= set(names) for pair in pairs)
    }
    largest = {names for names in together if not any(names < other for other in together)}
    letters = set("".join(place.groups for place in found.values()))
    assert {frozenset(name for name in means if letter in found[name].groups) for letter in letters} == largest
    assert found["a"].groups == "a"
    assert [found[name].rank for name in means] == [1, 2, 3, 4, 5]
    assert [places(means, [], higher_is_better=False)[name].rank for name in means] == [5, 4, 3, 2, 1]
    assert {place.groups for place in places(means, [], higher_is_better=True).values()} == {"a"}


def test_equal_means_share_a_rank():
    found = places({"a": 1.0, "b": 1.0, "c": 0.0}, [], higher_is_better=True)
    assert [found[name].rank for name in "abc"] == [1, 1, 3]


def test_components_of_a_balanced_table_have_their_closed_form():
    rng = random.Random(1)
    values = {f"p{n}": [rng.gauss(0, 3) + rng.gauss(0, 1) for _ in range(4)] for n in range(6)}
    found = components(values)
    within = fmean(variance(group) for group in values.values())
    between = variance([fmean(group) for group in values.values()])
    assert found.seed**2 == pytest.approx(within)
    assert found.prompt**2 == pytest.approx(max(0.0, between - within / 4))
    assert (found.prompts, found.clips) == (6, 24)


def test_components_are_those_that_made_the_values():
    rng = random.Random(2)
    values = {}
    for n in range(4000):
        own = rng.gauss(0, 2)
        values[f"p{n}"] = [own + rng.gauss(0, 1) for _ in range(2 + n % 3)]  # unbalanced
    found = components(values)
    assert found.prompt == pytest.approx(2, rel=0.05)
    assert found.seed == pytest.approx(1, rel=0.05)
    assert found.share == pytest.approx(0.8, abs=0.03)


def test_without_several_seeds_nothing_is_told_apart():
    assert components({"a": [1.0], "b": [2.0]}) is None
    assert components({"a": [1.0, 2.0]}) is None
    same = components({"a": [1.0, 1.0], "b": [1.0, 1.0]})
    assert same.share is None
    cells = [Measurement("g", p, seed, "m", "roc_auc", 1.0 + seed) for p in "ab" for seed in (0, 1)]
    (spread,) = spreads(cells)
    assert spread[:3] == ("g", "roc_auc", "m")
    assert spread.components.seed**2 == pytest.approx(2 * pvariance([1.0, 2.0]))
    assert spread.components.prompt == 0.0
