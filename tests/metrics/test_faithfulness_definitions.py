"""Metrics of faithfulness and complexity against slow, literal definitions."""

from itertools import pairwise, permutations, product
from math import exp, log

import pytest
import torch
from faithful_games import any_game, kept

from tagxai.metrics.concentration import effective_words, gini
from tagxai.metrics.erasure import comprehensiveness, sufficiency
from tagxai.metrics.families.rank_correlation import rank_agreement, rank_correlation
from tagxai.metrics.families.word_sets import rankings
from tagxai.metrics.infidelity import infidelity
from tagxai.metrics.linear_datamodelling import linear_datamodelling
from tagxai.metrics.perturbation_curves import perturbation_curves
from tagxai.metrics.share_of_optimum import share_of_optimum
from tagxai.metrics.soft_erasure import retaining, soft_comprehensiveness, soft_sufficiency


@pytest.mark.parametrize("seed", range(5))
def test_gini_is_half_the_mean_difference_of_all_pairs_over_the_mean(seed):
    values = [abs(v) for v in torch.randn(7, generator=torch.Generator().manual_seed(seed)).tolist()]
    pairs = sum(abs(a - b) for a in values for b in values) / len(values) ** 2
    assert gini(torch.tensor(values)) == pytest.approx(pairs / (2 * sum(values) / len(values)), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_effective_number_of_words_is_exp_of_the_entropy(seed):
    values = torch.randn(6, generator=torch.Generator().manual_seed(seed))
    shares = [abs(v) / values.abs().sum().item() for v in values.tolist()]
    assert effective_words(values) == pytest.approx(exp(-sum(p * log(p) for p in shares)), rel=1e-5)


@pytest.mark.parametrize("measure", [gini, effective_words])
def test_complexity_does_not_look_at_scale_signs_or_order(measure):
    scores = torch.tensor([0.3, -2.0, 0.0, 1.0])
    for other in (scores * 1e30, scores * 1e-30, -scores, scores[[2, 0, 3, 1]]):
        assert measure(other) == pytest.approx(measure(scores), rel=1e-5)
    assert gini(torch.zeros(4)) == 0
    assert effective_words(torch.zeros(4)) == 4


@pytest.mark.parametrize("seed", range(4))
def test_the_area_between_the_curves_is_the_sum_of_trapezoids_over_the_whole_effect(seed):
    n = 5
    worth, value = any_game(n, seed)
    scores = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    order = sorted(range(n), key=lambda word: -scores[word])
    morf = [worth[kept(n, order[k:])] for k in range(n + 1)]
    lerf = [worth[kept(n, order[: n - k])] for k in range(n + 1)]
    gaps = [low - high for low, high in zip(lerf, morf, strict=True)]
    area = sum((a + b) / 2 for a, b in pairwise(gaps)) / n
    assert perturbation_curves(scores, value) == pytest.approx(area / abs(morf[0] - morf[-1]))


@pytest.mark.parametrize("seed", range(4))
def test_the_share_of_the_optimum_is_that_of_the_best_of_all_orders(seed):
    n = 5
    worth, value = any_game(n, seed)
    scores = torch.randn(n, generator=torch.Generator().manual_seed(seed))

    def area(order):
        return sum(worth[kept(n, order[:k])] - worth[kept(n, order[k:])] for k in range(1, n))

    best = max(area(order) for order in permutations(range(n)))
    found = share_of_optimum(scores, value)
    assert found == pytest.approx(area(sorted(range(n), key=lambda word: -scores[word])) / best)
    assert share_of_optimum(-scores, value) == pytest.approx(-found)
    assert -1 <= found <= 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [1, 4, 7])
def test_comprehensiveness_and_sufficiency_are_means_over_the_bins(n, seed):
    worth, value = any_game(n, seed)
    scores = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    order = sorted(range(n), key=lambda word: -scores[word])
    sizes = [next(k for k in range(n + 1) if k >= share * n) for share in (0.05, 0.1, 0.2, 0.5)]
    whole = worth[kept(n, order)]
    without = sum(whole - worth[kept(n, order[k:])] for k in sizes) / 4
    alone = sum(whole - worth[kept(n, order[:k])] for k in sizes) / 4
    assert comprehensiveness(scores, value) == pytest.approx(without)
    assert sufficiency(scores, value) == pytest.approx(alone)


@pytest.mark.parametrize("seed", range(3))
def test_soft_metrics_approach_their_expectation_over_all_sets(seed):
    n = 4
    worth, value = any_game(n, seed)
    scores = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    probability = retaining(scores).tolist()
    expected_kept = expected_left = 0.0
    for row in product([False, True], repeat=n):
        chance = 1.0
        for word in range(n):
            chance *= probability[word] if row[word] else 1 - probability[word]
        expected_kept += chance * worth[row]
        expected_left += chance * worth[tuple(not word for word in row)]
    every, none = worth[(True,) * n], worth[(False,) * n]
    sampled = {"samples": 20_000, "seed": seed}
    tolerance = 5 * 2.5 / 20_000**0.5 / abs(every - none)  # five standard errors of a value within [-5, 0]
    assert soft_sufficiency(scores, value, **sampled) == pytest.approx(
        (expected_kept - none) / abs(every - none), abs=tolerance
    )
    assert soft_comprehensiveness(scores, value, **sampled) == pytest.approx(
        (every - expected_left) / abs(every - none), abs=tolerance
    )


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_probabilities_of_keeping_words_have_the_share_asked_for_and_keep_the_order(share, seed):
    scores = torch.randn(6, generator=torch.Generator().manual_seed(seed)) ** 3
    found = retaining(scores, share)
    assert found.mean().item() == pytest.approx(share)
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[scores.argsort()].diff() >= 0).all()
    torch.testing.assert_close(retaining(7 * scores - 3, share), found, atol=1e-5, rtol=0)
    assert retaining(torch.ones(6), share).tolist() == [share] * 6


@pytest.mark.parametrize("seed", range(4))
def test_infidelity_is_the_smallest_squared_error_of_any_scale(seed):
    n = 4
    worth, _ = any_game(n, seed)
    scores = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    rows = list(product([False, True], repeat=n))
    lost = [worth[(True,) * n] - worth[tuple(not gone for gone in row)] for row in rows]
    claimed = [sum(s for s, gone in zip(scores.tolist(), row, strict=True) if gone) for row in rows]

    def error(scale):
        return sum((scale * c - gone) ** 2 for c, gone in zip(claimed, lost, strict=True)) / len(rows)

    arguments = (scores, torch.tensor(rows), torch.tensor(lost))
    assert infidelity(*arguments, scaled=False) == pytest.approx(error(1), rel=1e-5)
    grid = min(error(i / 200) for i in range(4000))
    assert infidelity(*arguments) == pytest.approx(grid / error(0), abs=1e-3)


def test_exact_additive_scores_have_no_infidelity_and_reversed_ones_gain_nothing_by_scale():
    scores = torch.tensor([3.0, 1.0, -2.0])
    removed = torch.tensor(list(product([False, True], repeat=3)))
    lost = removed.float() @ scores
    assert infidelity(0.01 * scores, removed, lost) == pytest.approx(0, abs=1e-12)
    assert infidelity(-scores, removed, lost) == 1
    assert infidelity(torch.zeros(3), removed, lost) == 1


@pytest.mark.parametrize("seed", range(4))
def test_spearman_is_the_correlation_of_mean_ranks(seed):
    drawn = torch.Generator().manual_seed(seed)
    a, b = (torch.randint(0, 5, (12,), generator=drawn).float() for _ in range(2))
    ranks = []
    for values in (a.tolist(), b.tolist()):
        ranks.append([sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values])
    expected = torch.corrcoef(torch.tensor(ranks, dtype=torch.float64))[0, 1].item()
    assert rank_correlation(a, b) == pytest.approx(expected)
    masks = torch.rand(9, 12, generator=drawn) < 0.5
    values = torch.randn(9, generator=drawn)
    sums = torch.stack([a[row].sum() for row in masks])
    assert linear_datamodelling(a, masks, values) == pytest.approx(rank_correlation(sums, values))


def test_constants_have_no_rank_correlation_and_agree_with_constants_alone():
    assert rank_correlation(torch.ones(3), torch.zeros(3)) is None
    assert rank_correlation(torch.ones(3), torch.arange(3.0)) is None
    assert rank_agreement(torch.ones(3), torch.zeros(3)) == 1
    assert rank_agreement(torch.ones(3), torch.arange(3.0)) == 0


def test_rankings_reverse_ties_and_nothing_else():
    assert rankings(torch.tensor([3.0, 1.0, 2.0])).tolist() == [[0, 2, 1]]
    both = rankings(torch.ones(4)).tolist()
    assert sorted(both) == [[0, 1, 2, 3], [3, 2, 1, 0]]


@pytest.mark.parametrize("measure", [perturbation_curves, share_of_optimum])
def test_equal_scores_have_no_area_whatever_the_game(measure):
    _, value = any_game(5, 0)
    assert measure(torch.full((5,), 0.3), value) == pytest.approx(0, abs=1e-9)


def test_an_additive_game_knows_the_best_area_of_the_curves():
    strength = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)

    def value(masks):
        return masks.double() @ strength

    # removing 1 or 2 of 3 words: LeRF leaves 6 and 4, MoRF 3 and 1
    assert perturbation_curves(strength, value) == pytest.approx((3 + 3) / 3 / 7)
    assert share_of_optimum(strength, value) == 1
    assert comprehensiveness(strength, value) == pytest.approx((4 + 4 + 4 + 6) / 4)
