"""Metrics of faithfulness by scoring and of complexity: literal definitions, closed forms, the order of controls."""

import random
from itertools import pairwise, permutations, product
from math import exp, log

import pytest
import torch

from tagxai import Attribution, TagxaiError, load_generator
from tagxai.errors import UnsupportedError
from tagxai.metrics.concentration import effective_words, gini
from tagxai.metrics.erasure import comprehensiveness, sufficiency
from tagxai.metrics.families.faithfulness import ScoringMetric, beside_absences, event_units
from tagxai.metrics.families.rank_correlation import rank_agreement, rank_correlation
from tagxai.metrics.families.word_sets import rankings
from tagxai.metrics.infidelity import infidelity
from tagxai.metrics.linear_datamodelling import linear_datamodelling
from tagxai.metrics.perturbation_curves import perturbation_curves
from tagxai.metrics.share_of_optimum import ShareOfOptimum, share_of_optimum
from tagxai.metrics.soft_erasure import retaining, soft_comprehensiveness, soft_sufficiency
from tagxai.registering.registry import registry

analytic = pytest.importorskip("tagxai_analytic")

BY_SCORING = [name for name, entry in registry().metrics.items() if issubclass(entry.cls, ScoringMetric)]


def any_game(n, seed):
    """A random worth for every set of n words, as the metrics call it and as a dictionary."""
    draw = random.Random(seed)
    worth = {kept: draw.uniform(-5, 0) for kept in product([False, True], repeat=n)}
    return worth, lambda masks: torch.tensor([worth[tuple(row)] for row in masks.tolist()], dtype=torch.float64)


def kept(n, words):
    return tuple(word in words for word in range(n))


# -- complexity ------------------------------------------------------------------------------------------------------


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


# -- literal definitions ---------------------------------------------------------------------------------------------


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


# -- on the analytic model -------------------------------------------------------------------------------------------

PROMPTS = [  # whose words act one by one: the exact values are then the best that any of these metrics can see
    "the bell then thunder and rain quietly",
    "a siren and distant echo while bell",
    "thunder with echo and a siren here",
    "rain and the bell quietly while echo",
]


@pytest.fixture(scope="module")
def model():
    return load_generator("analytic")


@pytest.fixture(scope="module")
def explained(model):
    """Clips with the exact Shapley values, these under noise, and noise alone."""
    found = []
    for seed, prompt in enumerate(PROMPTS):
        clip = model.generate(prompt, duration=1.0, seed=seed)
        exact = analytic.ClosedForm(clip, "delete").shapley().float()
        noise = torch.randn(exact.shape[-1], generator=torch.Generator().manual_seed(seed))
        noise = noise * exact.mean((0, 1)).std()
        chance = noise.expand_as(exact).contiguous()
        for kind, scores in (("oracle", exact), ("degraded", exact + 0.7 * chance), ("random", chance)):
            found.append((kind, clip, Attribution(clip, scores, "random")))
    return found


@pytest.mark.parametrize("name", BY_SCORING)
def test_the_oracle_beats_a_degraded_oracle_which_beats_chance(name, model, explained):
    metric = registry().metric(name)()
    means = {"oracle": 0.0, "degraded": 0.0, "random": 0.0}
    for kind, clip, attribution in explained:
        means[kind] += metric.score(model, clip, attribution) / len(PROMPTS)
    sign = 1 if metric.higher_is_better else -1
    assert sign * means["oracle"] > sign * means["degraded"] > sign * means["random"], means


def test_a_word_that_does_all_has_its_closed_form(model):
    linear = load_generator("analytic:linear")
    clip = linear.generate("the bell of a house", duration=0.5)
    scores = analytic.ClosedForm(clip, "delete").shapley().float()
    attribution = Attribution(clip, scores, "random")
    lost = 2 / 32 / 2  # nats a code: the bell's strength, at codes of one of two codebooks
    metrics = {name: registry().metric(name)() for name in BY_SCORING}
    expected = {
        "comprehensiveness": lost,
        "sufficiency": 0.0,
        "perturbation_curves": 4 / 5,
        "share_of_optimum": 1.0,
        "infidelity": 0.0,
        "linear_datamodelling": 1.0,
        "soft_sufficiency": 1.0,
        "soft_comprehensiveness": 1.0,
    }
    found = {name: metric.score(linear, clip, attribution) for name, metric in metrics.items()}
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", BY_SCORING)
def test_operators_of_attention_are_refused_where_there_is_none(name, model):
    class Blind(type(model)):
        offers = frozenset()

    blind = Blind()
    clip = blind.generate("bell and rain", duration=0.5)
    attribution = Attribution(clip, torch.rand(1, 5, 4), "random")
    metric = registry().metric(name)
    with pytest.raises(UnsupportedError, match="choices: delete, null"):
        metric(operator="gate").score(blind, clip, attribution)
    assert metric(operator="null").score(blind, clip, attribution) is not None


def test_the_words_of_an_event_are_one_unit_and_other_words_stay_single(model):
    clip = model.generate("a dog then barks while wind and waves and gulls", duration=0.5)
    attribution = Attribution(clip, torch.rand(1, 5, len(clip.tokens)), "random")
    found = event_units(model, clip, attribution)
    assert [unit.text for unit in found if not unit.special] == [
        *("a", "dog then barks", "while", "wind and waves and gulls")
    ]
    assert sorted(token for unit in found for token in unit.tokens) == list(range(len(clip.tokens)))


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_beside_absences_is_the_largest_over_near_words(seed):
    """The definition, slowly: of removing R, and of removing it after each kept word that is near a word of R."""
    n, distance = 5, 2
    _, value = any_game(n, seed)

    def of(kept):
        return float(value(torch.tensor([[i in kept for i in range(n)]]))[0])

    masks = torch.rand(12, n, generator=torch.Generator().manual_seed(seed)) < 0.6
    found = beside_absences(value, distance)(masks)
    for row, each in zip(masks.tolist(), found.tolist(), strict=True):
        kept = {i for i in range(n) if row[i]}
        gone = set(range(n)) - kept
        losses = [of(set(range(n))) - of(kept)]
        for j in kept:
            if any(abs(i - j) <= distance for i in gone):
                losses.append(of(set(range(n)) - {j}) - of(kept - {j}))
        assert of(set(range(n))) - each == pytest.approx(max(losses))


def test_pair_aware_removal_sees_a_word_that_another_one_repeats():
    linear = load_generator("analytic:linear")
    clip = linear.generate("rain and drizzle", duration=0.5)  # either of them makes the sound
    scores = torch.tensor([1.0, 0.0, 0.5, 0.0]).expand(1, 5, 4).contiguous()
    attribution = Attribution(clip, scores, "random")
    comprehensive = registry().metric("comprehensiveness")
    # of the bins of 5 to 50 % of three words the last takes two, and so loses the sound in any case
    lost = 2 / 32 / 2
    assert comprehensive(beside=0).score(linear, clip, attribution) == pytest.approx(lost / 4, abs=1e-5)
    assert comprehensive().score(linear, clip, attribution) == pytest.approx(lost, abs=1e-5)


def test_a_prompt_that_does_nothing_is_refused_in_a_sentence(model):
    clip = model.generate("the house of a friend", duration=0.5)
    attribution = Attribution(clip, torch.rand(1, 5, len(clip.tokens)), "random")
    for name in ("perturbation_curves", "soft_sufficiency", "soft_comprehensiveness"):
        with pytest.raises(TagxaiError, match="no ranking matters"):
            registry().metric(name)().score(model, clip, attribution)
    with pytest.raises(TagxaiError, match="no ranking of this prompt's words is better"):
        ShareOfOptimum().score(model, clip, attribution)


def test_prompts_too_long_to_try_all_sets_are_refused(model):
    clip = model.generate(" ".join(["then"] * 12), duration=0.5)
    attribution = Attribution(clip, torch.rand(1, 5, len(clip.tokens)), "random")
    with pytest.raises(TagxaiError, match="expected 2 to 10"):
        ShareOfOptimum().score(model, clip, attribution)


def test_options_of_a_metric_are_read_from_text(model):
    metric = registry().metric("infidelity").configure({"operator": "gate", "samples": "8"})
    assert (metric.operator, metric.samples) == ("gate", 8)
    assert metric.settings() == {"operator": "gate", "units": "word", "beside": 0, "samples": 8, "seed": 20_000}
    with pytest.raises(TagxaiError, match="option of metric 'infidelity' named 'sample'; did you mean 'samples'"):
        registry().metric("infidelity").configure({"sample": "8"})
