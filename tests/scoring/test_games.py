"""Arithmetic on score tables: slow literal definitions, closed forms on small games, and the axioms."""

from itertools import permutations
from math import factorial

import pytest
import torch
from games import VALUES, N, additive, approx, both, either, every, rough, scored, subsets_without

from tagxai.scoring import (
    ScoreTable,
    banzhaf_interactions,
    banzhaf_values,
    kernel_shap,
    leave_one_out,
    leave_one_out_values,
    permuted,
    random_subsets,
    shapley,
    shapley_interactions,
    shapley_values,
)
from tagxai.text.words import Unit

FAIR = ["shapley", "banzhaf", "kernel_shap"]


@pytest.mark.parametrize("name", VALUES)
def test_an_additive_game_gives_each_unit_its_own(name):
    assert VALUES[name](every(), scored(additive, every())).tolist() == approx([1, 2, 3, 4])


@pytest.mark.parametrize("name", FAIR)
@pytest.mark.parametrize(
    ("game", "expected"),
    [
        (both, [0.5, 0.5, 0, 0]),  # AND: shared equally, the others nothing
        (either, [0.5, 0.5, 0, 0]),  # OR
        (lambda kept: len(kept) ** 2, [4, 4, 4, 4]),  # symmetric
        (lambda kept: (0 in kept) - (0 in kept and 3 in kept), [0.5, 0, 0, -0.5]),  # 3 suppresses 0
    ],
)
def test_games_with_known_answers(name, game, expected):
    assert VALUES[name](every(), scored(game, every())).tolist() == approx(expected)


def test_leaving_one_out_sees_both_of_and_and_neither_of_or():
    assert leave_one_out_values(every(), scored(both, every())).tolist() == [1, 1, 0, 0]
    assert leave_one_out_values(every(), scored(either, every())).tolist() == [0, 0, 0, 0]


def test_shapley_values_are_the_mean_gain_over_all_orders():
    expected = [0.0] * N
    for order in permutations(range(N)):
        for place, unit in enumerate(order):
            expected[unit] += (rough(set(order[: place + 1])) - rough(set(order[:place]))) / factorial(N)
    assert shapley_values(every(), scored(rough, every())).tolist() == approx(expected)


def test_banzhaf_values_are_the_mean_gain_over_all_subsets():
    expected = [
        sum(rough(others | {unit}) - rough(others) for others in subsets_without(unit)) / 2 ** (N - 1)
        for unit in range(N)
    ]
    assert banzhaf_values(every(), scored(rough, every())).tolist() == approx(expected)


@pytest.mark.parametrize("index", [shapley_interactions, banzhaf_interactions])
def test_interactions_are_the_mean_of_what_two_gain_beyond_each_alone(index):
    found = index(every(), scored(rough, every()))
    for i, j in permutations(range(N), 2):
        expected = 0.0
        for others in subsets_without(i, j):
            together = rough(others | {i, j}) - rough(others | {i}) - rough(others | {j}) + rough(others)
            size = len(others)
            shapley_weight = factorial(size) * factorial(N - size - 2) / factorial(N - 1)
            expected += together * (shapley_weight if index is shapley_interactions else 2.0 ** (2 - N))
        assert found[i, j].item() == approx(expected)
    assert found.diagonal().tolist() == [0] * N


@pytest.mark.parametrize("index", [shapley_interactions, banzhaf_interactions])
def test_words_that_need_each_other_interact_and_stand_ins_do_so_negatively(index):
    for game, expected in ((both, 1), (either, -1), (additive, 0)):
        found = index(every(), scored(game, every()))
        assert found[0, 1].item() == approx(expected)
        assert found[2:].abs().max().item() == approx(0)


@pytest.mark.parametrize("name", ["shapley", "kernel_shap"])
def test_efficiency_the_values_add_up_to_the_whole(name):
    total = VALUES[name](every(), scored(rough, every())).sum().item()
    assert total == approx(rough(set(range(N))) - rough(set()))


@pytest.mark.parametrize("name", FAIR)
def test_symmetry_and_the_null_player(name):
    def game(kept):  # 0 and 1 alike, 3 does nothing
        return rough({len({0, 1} & kept) + 7, *({2} & kept)})

    values = VALUES[name](every(), scored(game, every())).tolist()
    assert values[0] == approx(values[1])
    assert values[3] == approx(0)
    assert abs(values[0]) > 1e-3


def test_kernel_shap_of_all_subsets_is_the_shapley_value():
    for n in (1, 2, 5):
        values = scored(rough, every(n))
        torch.testing.assert_close(kernel_shap(every(n), values), shapley_values(every(n), values))


def test_every_output_is_answered_by_itself():
    games = [rough, both, additive]
    stacked = torch.stack([scored(game, every()) for game in games], dim=1)[:, :, None]
    for name, function in VALUES.items():
        together = function(every(), stacked)
        assert together.shape == (N, 3, 1), name
        for i, game in enumerate(games):
            torch.testing.assert_close(together[:, i, 0], function(every(), scored(game, every())))


def test_orders_build_their_subsets_one_unit_at_a_time():
    assert permuted([[2, 0, 1]]).int().tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1]]


def test_random_subsets_are_all_of_them_where_they_are_few():
    assert len(random_subsets(3, 8)) == len(random_subsets(3, 8).unique(dim=0)) == 8
    drawn = random_subsets(10, 400, by_size=True, seed=1)
    sizes = drawn.sum(1).bincount(minlength=11)
    assert sizes[0] == sizes[10] == 1
    assert sizes[1:10].min() > 400 / 9 / 2  # nine sizes, equally often
    halves = random_subsets(10, 400, seed=1).double().mean(0)
    assert (halves - 0.5).abs().max() < 0.1  # four standard deviations
    assert torch.equal(drawn, random_subsets(10, 400, by_size=True, seed=1))


def test_exact_values_need_all_subsets():
    with pytest.raises(ValueError, match="need all 16 coalitions, the table has 15"):
        shapley_values(every()[1:], scored(both, every()[1:]))
    with pytest.raises(ValueError, match="lacks the coalition that keeps the units"):
        leave_one_out_values(leave_one_out(N)[1:], scored(both, leave_one_out(N)[1:]))
    with pytest.raises(ValueError, match="that of none"):
        kernel_shap(leave_one_out(N), scored(both, leave_one_out(N)))


def test_the_values_of_groups_in_intervals_and_codebooks_come_from_one_table():
    masks = every()
    random = torch.Generator().manual_seed(3)
    log_prob = torch.rand(len(masks), 2, 5, generator=random)
    units = tuple(Unit(str(i), i, i + 1, (i,)) for i in range(N))
    table = ScoreTable(units, masks, log_prob, 0.0, len(masks), first_frame=10)
    torch.testing.assert_close(table.value(range(11, 13)), log_prob[..., 1:3].sum((1, 2)))
    torch.testing.assert_close(table.value(range(11, 13), codebook=1), log_prob[:, 1, 1:3].sum(1))
    torch.testing.assert_close(
        shapley(table).sum((1, 2)), shapley_values(masks, table.value()), atol=1e-5, rtol=1e-5
    )  # linear
    grouped = table.grouped([[0, 2], [1, 3]])
    pairs = {
        (row[0], row[1]): value for row, value in zip(masks.tolist(), table.value(), strict=True) if row[:2] == row[2:]
    }
    expected = [
        (pairs[True, True] - pairs[False, True] + pairs[True, False] - pairs[False, False]) / 2,
        (pairs[True, True] - pairs[True, False] + pairs[False, True] - pairs[False, False]) / 2,
    ]
    torch.testing.assert_close(shapley_values(grouped.masks, grouped.value()), torch.stack(expected))
    assert len(grouped.masks) == 4
