"""The smallest sets of words that suffice, and those without which the rest does not."""

import pytest
from games import N, additive, both, either, every, rough, scored

from tagxai.errors import TagxaiError
from tagxai.scoring import minimal_necessary, minimal_sufficient


@pytest.mark.parametrize(
    ("game", "sufficient", "necessary"),
    [
        (both, [(0, 1)], [(0,), (1,)]),
        (either, [(0,), (1,)], [(0, 1)]),
        (additive, [(2, 3), (0, 1, 3)], [(2, 3), (0, 1, 3)]),  # at least 6.5 of 1 + 2 + 3 + 4
    ],
)
def test_minimal_sets_of_words(game, sufficient, necessary):
    assert minimal_sufficient(every(), scored(game, every()), 0.65) == sufficient
    assert minimal_necessary(every(), scored(game, every()), 0.65) == necessary


def test_minimal_sets_by_trying_everything():
    values = scored(lambda kept: rough(kept) + len(kept), every())
    worth = {
        frozenset(i for i in range(N) if row[i]): v for row, v in zip(every().tolist(), values.tolist(), strict=True)
    }
    whole = worth[frozenset(range(N))] - worth[frozenset()]
    holds = [s for s in worth if worth[s] - worth[frozenset()] >= 0.6 * whole]
    expected = {tuple(sorted(s)) for s in holds if not any(other < s for other in holds)}
    found = minimal_sufficient(every(), values, 0.6)
    assert set(found) == expected
    assert [len(s) for s in found] == sorted(len(s) for s in found)


def test_a_prompt_without_effect_has_no_sufficient_words():
    for function in (minimal_sufficient, minimal_necessary):
        with pytest.raises(TagxaiError, match="does not make these codes likelier"):
            function(every(), scored(lambda kept: -len(kept), every()))
