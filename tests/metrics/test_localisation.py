"""Metrics of localisation against slow literal definitions: every order of ties, every cell; and against chance."""

import random
from itertools import permutations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tagxai import Attribution, TagxaiError
from tagxai.contract.truth import TrueWord, Truth
from tagxai.metrics.best_word import Hit, hit, reciprocal_rank
from tagxai.metrics.families.localisation import Localisation, align
from tagxai.metrics.families.word_time import average_precision, pointing_game, relevance_mass, relevance_rank, roc_auc
from tagxai.registering.registry import registry


def hit_at_2(scores, truth, scored=None):
    return hit(scores, truth, scored, k=2)


METRICS = [hit, hit_at_2, reciprocal_rank, pointing_game, relevance_mass, relevance_rank, average_precision, roc_auc]
OVER_WORDS = (hit, hit_at_2, reciprocal_rank)
DEFINITIONS = {  # of a ranking without ties: what is true of each place, and the places of what is true
    hit: lambda ranked, ranks: float(ranked[0]),
    hit_at_2: lambda ranked, ranks: float(any(ranked[:2])),
    reciprocal_rank: lambda ranked, ranks: 1 / ranks[0],
    pointing_game: lambda ranked, ranks: float(ranked[0]),
    relevance_rank: lambda ranked, ranks: sum(ranked[: len(ranks)]) / len(ranks),
    average_precision: lambda ranked, ranks: sum((i + 1) / rank for i, rank in enumerate(ranks)) / len(ranks),
}


def slow(metric, scores, truth):
    """The definition on one ranking of items without ties, for every order in which equal scores may come."""
    if metric is relevance_mass:
        pairs = [(s, t) for s, t in zip(scores.flatten().tolist(), truth.flatten().tolist(), strict=True) if s > 0]
        return sum(s for s, t in pairs if t) / sum(s for s, _ in pairs)
    if metric is roc_auc:
        items = list(zip(scores.flatten().tolist(), truth.flatten().tolist(), strict=True))
        pairs = [(a, b) for a, is_true in items if is_true for b, other in items if not other]
        return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)
    if metric in OVER_WORDS:
        scores, truth = scores.mean(1), truth.any(1)
    items = list(zip(scores.flatten().tolist(), truth.flatten().tolist(), strict=True))
    values = []
    for order in permutations(items):
        ranked = [true for _, true in sorted(order, key=lambda item: -item[0])]  # stable: ties stay in this order
        ranks = [place + 1 for place, true in enumerate(ranked) if true]
        values.append(DEFINITIONS[metric](ranked, ranks))
    return sum(values) / len(values)


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_the_mean_of_its_definition_over_all_orders_of_ties(metric):
    draw = random.Random(0)
    shape = (6, 1) if metric in OVER_WORDS else (3, 2)
    for _ in range(8):
        values = torch.tensor([float(draw.randint(-1, 2)) for _ in range(6)])
        truth = torch.tensor([draw.random() < 0.4 for _ in range(6)])
        values[draw.randrange(6)], truth[draw.randrange(6)] = 3.0, True
        truth[0] = False
        if not truth.any():
            continue
        values, truth = values.reshape(shape), truth.reshape(shape)
        assert metric(values, truth) == pytest.approx(slow(metric, values, truth))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(METRICS),
    st.lists(st.tuples(st.integers(-1, 2), st.booleans()), min_size=2, max_size=5),
)
def test_any_ties_are_averaged_over_all_orders(metric, cells):
    truth = torch.tensor([[true] for _, true in cells])
    assume(truth.any())
    assume(metric is not roc_auc or not truth.all())
    scores = torch.tensor([[float(score)] for score, _ in cells])
    assume(metric is not relevance_mass or (scores > 0).any())
    assert metric(scores, truth) == pytest.approx(slow(metric, scores, truth))


@pytest.mark.parametrize("metric", METRICS)
def test_the_oracle_gets_the_best_value_and_its_opposite_the_worst(metric):
    truth = torch.zeros(6, 10, dtype=torch.bool)
    truth[1, 2:5] = truth[4, 6:] = True
    assert metric(truth.float(), truth) == 1.0
    assert metric(-truth.float(), truth) < 0.21  # 1 / 5, the reciprocal rank when four words come first


@pytest.mark.parametrize("metric", METRICS)
def test_random_scores_are_at_chance_on_average_which_is_the_value_of_equal_scores(metric):
    truth = torch.zeros(5, 4, dtype=torch.bool)
    truth[1, 1:3] = truth[3, :3] = True
    noise = torch.rand(400, 5, 4, generator=torch.Generator().manual_seed(0))
    values = torch.tensor([metric(scores, truth) for scores in noise])
    standard_error = values.std() / len(values) ** 0.5
    for value in (0.0, 0.7, -3.0):
        chance = metric(torch.full((5, 4), value), truth)
        assert abs(values.mean() - chance) < 4 * standard_error
    assert chance == pytest.approx(
        {hit: 2 / 5, hit_at_2: 1 - 3 / 10, roc_auc: 0.5}.get(metric, chance)
        if metric not in (pointing_game, relevance_mass, relevance_rank)
        else 5 / 20
    )


@pytest.mark.parametrize("metric", METRICS)
def test_neither_the_order_of_words_nor_the_scale_of_scores_counts(metric):
    draw = torch.Generator().manual_seed(3)
    scores = torch.randint(-2, 3, (5, 4), generator=draw).float()
    truth = torch.rand(5, 4, generator=draw) < 0.3
    order = torch.randperm(5, generator=draw)
    expected = metric(scores, truth)
    assert metric(scores[order], truth[order]) == pytest.approx(expected)
    for scale in (1e-30, 1e30):
        assert metric(scores * scale, truth) == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_words_that_do_not_count_are_as_if_they_were_not_there(metric):
    draw = torch.Generator().manual_seed(4)
    scores, truth = torch.randn(5, 4, generator=draw), torch.rand(5, 4, generator=draw) < 0.4
    scored = torch.tensor([True, False, True, True, False])
    assert metric(scores, truth, scored) == metric(scores[scored], truth[scored])
    with pytest.raises(ValueError, match="nothing is true"):
        metric(scores, torch.zeros_like(truth))


def test_negative_scores_carry_no_mass_and_no_mass_is_chance():
    truth = torch.tensor([[True, False], [False, False]])
    assert relevance_mass(torch.tensor([[1.0, -9.0], [-9.0, 1.0]]), truth) == 0.5
    assert relevance_mass(-torch.ones(2, 2), truth) == 0.25


def test_hit_at_k_needs_a_k():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        hit(torch.ones(2, 1), torch.ones(2, 1, dtype=torch.bool), k=0)


# -- truth of words, explanations of tokens --------------------------------------------------------------------------


def truth_about(generation, *marked):
    """Truth from (text, kind, causal, frames) of words in the prompt's order."""
    words, rows = [], []
    for text, kind, causal, frames in marked:
        start = generation.prompt.index(text)
        words.append(TrueWord(start, start + len(text), kind, causal))
        rows.append([frame in frames for frame in range(generation.frames)])
    return Truth(tuple(words), torch.tensor(rows), generation.frame_rate)


def test_tokens_join_the_word_they_belong_to_and_the_others_are_one_more_word(generation):
    truth = truth_about(generation, ("dog barks", "event", True, range(5)), ("falls", "event", True, range(5, 10)))
    units = truth.units(generation)
    assert [unit.text for unit in units] == ["dog barks", "falls", ""]
    assert sorted(token for unit in units for token in unit.tokens) == list(range(len(generation.tokens)))
    for unit in units[:2]:
        for token in unit.tokens:
            start, end = generation.spans[token]
            assert unit.start <= start < end <= unit.end
    assert generation.tokens[units[-1].tokens[-1]] == "</s>"


def test_scores_are_compared_word_by_word_within_one_kind(generation):
    truth = truth_about(
        generation,
        ("a", "filler", False, ()),
        ("dog", "event", True, range(5)),
        ("barks", "attribute", True, range(5)),
        ("while", "connective", False, ()),
        ("rain", "event", False, ()),
    )
    scores = torch.rand(4, generation.frames, len(generation.tokens), generator=torch.Generator().manual_seed(0))
    explanation = Attribution(generation, scores, "random", merge="sum")
    found, mask, scored = align(explanation, truth)
    assert found.shape == mask.shape == (6, generation.frames)
    # "barks" acts, but names no event; "rain" should act, but was not confirmed to; "falls" and `</s>` are left over
    assert scored.tolist() == [True, True, False, True, False, True]
    assert mask.any(1).tolist() == [False, True, False, False, False, False]
    dog = truth.units(generation)[1]
    torch.testing.assert_close(found[1], scores.mean(0)[:, list(dog.tokens)].sum(1))
    assert align(explanation, truth, "attribute")[2].tolist() == [True, False, True, True, False, True]
    with pytest.raises(TagxaiError, match="no count word is known"):
        align(explanation, truth, "count")


def test_a_generator_without_truth_is_refused(generator, generation, explanation):
    with pytest.raises(TagxaiError, match="'hit_at_1' needs truth, which generator 'musicgen' does not offer"):
        Hit().score(generator, generation, explanation)
    assert generator.truth(generation) is None


@pytest.mark.parametrize(
    ("words", "mask", "wrong"),
    [
        ([TrueWord(0, 1, "event", True)], torch.ones(2, 3, dtype=torch.bool), "for 1 words"),
        ([TrueWord(2, 2, "event")], torch.zeros(1, 3, dtype=torch.bool), "empty, overlap"),
        ([TrueWord(3, 5, "event"), TrueWord(0, 2, "event")], torch.zeros(2, 3, dtype=torch.bool), "out of order"),
        ([TrueWord(0, 1, "event")], torch.ones(1, 3, dtype=torch.bool), "not causal is true"),
    ],
)
def test_impossible_truth_is_refused(words, mask, wrong):
    with pytest.raises(ValueError, match=wrong):
        Truth(tuple(words), mask, 25.0)


def test_truth_of_another_clip_is_refused(generation):
    with pytest.raises(ValueError, match="truth of 3 frames for a clip of"):
        Truth((TrueWord(0, 1, "filler"),), torch.zeros(1, 3, dtype=torch.bool), 25.0).units(generation)


def test_every_metric_of_localisation_says_how_to_read_it():
    classes = [entry.cls for entry in registry().metrics.values() if issubclass(entry.cls, Localisation)]
    assert len(classes) == 13
    for cls in classes:
        assert (cls.higher_is_better, cls.bounds, cls.needs) == (True, (0.0, 1.0), {"truth"})
        assert "Chance" in cls.formula.__doc__
