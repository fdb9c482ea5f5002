"""The scoring core against slow literal definitions, and Shapley values against their axioms."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch

from tagxai import words
from tagxai.hooks import Gate, edit_attention
from tagxai.methods.shapley import Shapley
from tagxai.scoring import ScoreTable, all_subsets, leave_one_out, score, shapley, without
from tagxai.words import Unit

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
OPERATORS = ["delete", "null", "attention", "gate"]


@pytest.fixture(scope="module")
def units(generation):
    return words.words(generation.prompt, generation.token_spans, generation.tokens)


def literal(generator, generation, units, kept, operator):
    """One coalition, the long way round."""
    conditioning = generator.encode_prompt([generation.prompt])
    gone = [token for unit, keep in zip(units, kept, strict=True) if not keep for token in unit.tokens]
    edit = Gate(torch.ones(generation.steps, len(generation.tokens)))
    if operator == "delete":
        text = " ".join(unit.text for unit, keep in zip(units, kept, strict=True) if keep and not unit.special)
        conditioning = generator.encode_prompt([text])
        edit = Gate(torch.ones(generation.steps, len(conditioning.tokens[0])))
    elif operator == "null":
        embeddings = conditioning.embeddings.clone()
        embeddings[:, gone] = 0
        conditioning = replace(conditioning, embeddings=embeddings)
    elif operator == "gate":
        edit.gate[..., gone] = 0
    elif operator == "attention":
        conditioning = replace(conditioning, mask=conditioning.mask.clone())
        conditioning.mask[:, gone] = False  # the decoder's own way to attend to some tokens only
    with torch.no_grad(), edit_attention(generator.cross_attention(), edit):
        return generator.forward(generation, conditioning).log_prob[0]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_coalition_scores_what_its_definition_says(generator, generation, units, operator):
    masks = leave_one_out(len(units))[: len(units)]  # `</s>` stays: it cannot be deleted
    table = score(generator, generation, units, masks, operator=operator)
    for row, kept in zip(table.log_prob, masks.tolist(), strict=True):
        torch.testing.assert_close(row, literal(generator, generation, units, kept, operator), **TOLERANCE)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("target", ["conditional", "guided", "contrast"])
def test_results_do_not_depend_on_the_batch_size(generator, generation, units, operator, target):
    masks = leave_one_out(len(units))
    tables = [
        score(generator, generation, units, masks, operator=operator, target=target, batch_size=size).log_prob
        for size in (1, 3, 100)
    ]
    torch.testing.assert_close(tables[0], tables[1], **TOLERANCE)
    torch.testing.assert_close(tables[0], tables[2], **TOLERANCE)


def test_equal_coalitions_are_run_once(generator, generation, units):
    masks = torch.ones(50, len(units), dtype=torch.bool)
    table = score(generator, generation, units, masks)
    assert table.rows == 1
    assert table.log_prob.shape == (50, *generation.codes.shape)
    assert (table.log_prob == table.log_prob[0]).all()


def test_keeping_nothing_under_the_gate_is_the_unconditional_branch(generator, generation, units):
    table = score(generator, generation, units, torch.zeros(1, len(units), dtype=torch.bool))
    unconditional = generator.forward(generation, branch="unconditional").log_prob
    torch.testing.assert_close(table.log_prob, unconditional, **TOLERANCE)
    contrast = score(generator, generation, units, torch.zeros(1, len(units), dtype=torch.bool), target="contrast")
    torch.testing.assert_close(contrast.log_prob, torch.zeros_like(unconditional), **TOLERANCE)


def test_a_batch_that_does_not_fit_is_halved(generator, generation, units, monkeypatch):
    forward, sizes = generator.forward, []

    def small_memory(generation, conditioning, **options):
        sizes.append(len(conditioning))
        if len(conditioning) > 2:
            raise torch.OutOfMemoryError("no memory")
        return forward(generation, conditioning, **options)

    expected = score(generator, generation, units, leave_one_out(len(units)))
    monkeypatch.setattr(generator, "forward", small_memory)
    table = score(generator, generation, units, leave_one_out(len(units)), batch_size=8)
    assert sizes[:3] == [8, 4, 2]
    torch.testing.assert_close(table.log_prob, expected.log_prob, **TOLERANCE)


def test_removing_words_closes_the_gap():
    prompt = "a dog, barks  loudly"
    units = [Unit("a", 0, 1, (0,)), Unit("dog", 2, 5, (1,)), Unit("barks", 7, 12, (2,)), Unit("loudly", 14, 20, (3,))]
    assert without(prompt, units, [True, True, False, True]) == "a dog, loudly"
    assert without(prompt, units, [False] * 4) == ","


def table_of(game, n):
    """A table of all subsets in shuffled order, for a value given as a function of the set of units kept."""
    order = torch.randperm(2**n, generator=torch.Generator().manual_seed(0))
    masks = all_subsets(n)[order]
    values = torch.tensor([float(game({i for i in range(n) if row[i]})) for row in masks.tolist()])
    units = tuple(Unit(str(i), i, i + 1, (i,)) for i in range(n))
    return ScoreTable(units, masks, values[:, None, None], 0.0, 2**n)


@pytest.mark.parametrize(
    ("game", "expected"),
    [
        (lambda kept: sum(i + 1 for i in kept), [1, 2, 3, 4]),  # additive: each its own
        (lambda kept: {0, 1} <= kept, [0.5, 0.5, 0, 0]),  # AND: shared equally, the others nothing
        (lambda kept: bool({0, 1} & kept), [0.5, 0.5, 0, 0]),  # OR
        (lambda kept: len(kept) ** 2, [4, 4, 4, 4]),  # symmetric
        (lambda kept: (0 in kept) - (0 in kept and 3 in kept), [0.5, 0, 0, -0.5]),  # 3 suppresses 0
    ],
)
def test_shapley_values_of_games_with_known_answers(game, expected):
    assert shapley(table_of(game, 4))[:, 0, 0].tolist() == pytest.approx(expected)


def test_shapley_values_are_the_mean_gain_over_all_orders():
    random = torch.Generator().manual_seed(1)
    worth = {
        frozenset(i for i in range(4) if code >> i & 1): torch.rand((), generator=random).item() for code in range(16)
    }
    expected = [0.0] * 4
    for order in permutations(range(4)):
        for place, unit in enumerate(order):
            gain = worth[frozenset(order[: place + 1])] - worth[frozenset(order[:place])]
            expected[unit] += gain / 24
    assert shapley(table_of(lambda kept: worth[frozenset(kept)], 4))[:, 0, 0].tolist() == pytest.approx(
        expected, abs=1e-6
    )


def test_shapley_needs_all_subsets():
    table = table_of(len, 4)
    short = replace(table, masks=table.masks[1:], log_prob=table.log_prob[1:])
    with pytest.raises(ValueError, match="need 16 coalitions, the table has 15"):
        shapley(short)


def test_the_words_shapley_values_add_up_to_the_prompts_effect(generator, generation):
    explanation = Shapley().attribute(generator, generation)
    effect = (
        generator.forward(generation).log_prob[0] - generator.forward(generation, branch="unconditional").log_prob[0]
    )
    torch.testing.assert_close(explanation.scores.sum(-1), effect, **TOLERANCE)
