"""Questions beyond "which words", against passes of the model made one at a time."""

from dataclasses import replace

import pytest
import torch

from tagxai.errors import TagxaiError
from tagxai.scoring import (
    effects,
    interval_difference,
    leave_one_out,
    leave_one_out_values,
    prompt_and_history,
    replacement_contrast,
    score,
)
from tagxai.scoring.questions import replace_words
from tagxai.text import words

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def units(generation):
    return words.words(generation.prompt, generation.spans, generation.tokens)


def log_prob(generator, generation, prompt):
    with torch.no_grad():
        return generator.forward(generation, generator.encode_prompt([prompt])).log_prob[0]


def test_a_words_total_effect_is_its_own_and_what_went_through_other_words(generator, generation, units):
    tables = [score(generator, generation, units, leave_one_out(len(units)), operator=o) for o in ("gate", "delete")]
    found = effects(*tables)
    assert [unit.text for unit in found.units] == ["a", "dog", "barks", "while", "rain", "falls"]  # no `</s>`
    plain = log_prob(generator, generation, generation.prompt)
    without_dog = log_prob(generator, generation, "a barks while rain falls")
    torch.testing.assert_close(found.total[1], plain - without_dog, **TOLERANCE)
    torch.testing.assert_close(found.direct[1], leave_one_out_values(tables[0].masks, tables[0].log_prob)[1])
    torch.testing.assert_close(found.direct + found.indirect, found.total)


def test_one_operator_twice_leaves_nothing_to_other_words(generator, generation, units):
    table = score(generator, generation, units, leave_one_out(len(units)))
    found = effects(table, table)
    assert found.direct.abs().max() > 0
    assert found.indirect.abs().max() == 0


def test_effects_need_tables_about_the_same_thing(generator, generation, units):
    table = score(generator, generation, units, leave_one_out(len(units)))
    part = score(generator, generation, units, leave_one_out(len(units)), frames=range(5))
    with pytest.raises(ValueError, match="different units"):
        effects(table, replace(table, units=tuple(reversed(units))))
    with pytest.raises(ValueError, match="different frames"):
        effects(table, part)


def test_why_this_word_and_not_another_compares_two_prompts_on_the_same_codes(generator, generation):
    contrast = replacement_contrast(generator, generation, {"Dog": "cat"})
    assert contrast.other == "a cat barks while rain falls"
    expected = log_prob(generator, generation, generation.prompt) - log_prob(generator, generation, contrast.other)
    torch.testing.assert_close(contrast.difference, expected, **TOLERANCE)
    swapped = replace(generation, prompt=contrast.other)
    back = replacement_contrast(generator, swapped, {"cat": "dog"})
    torch.testing.assert_close(back.difference, -contrast.difference, **TOLERANCE)


@pytest.mark.parametrize(
    ("prompt", "replacements", "expected"),
    [
        ("a dog and a Dog", {"dog": "cat"}, "a cat and a cat"),
        ("a dog, barks", {"dog": "cat"}, "a cat, barks"),
        ("a dogged dog", {"dog": "cat"}, "a dogged cat"),
        ("dog cat", {"dog": "cat", "cat": "dog"}, "cat dog"),
        ("a small dog barks", {"small dog": "cat", "dog": "bear"}, "a cat barks"),
        ("собака лает", {"собака": "кошка"}, "кошка лает"),
        ("a bırd sings", {"bird": "cat"}, "a cat sings"),  # re takes a dotless i for an i, casefold does not
        (r"a (dog)+ \1", {"(dog)+": r"\1"}, r"a \1 \1"),
    ],
)
def test_whole_words_are_replaced_everywhere_at_once(prompt, replacements, expected):
    assert replace_words(prompt, replacements) == expected


@pytest.mark.parametrize(
    ("replacements", "message"),
    [
        ({"cat": "dog"}, "the prompt has no word 'cat' to replace; it is 'a dog barks'"),
        ({"do": "cat"}, "has no word 'do'"),
        ({"dog": "dog"}, "the prompt does not change"),
        ({" ": "dog"}, "has no word ' '"),
        ({}, "no word to replace"),
    ],
)
def test_words_that_cannot_be_replaced_are_told(replacements, message):
    with pytest.raises(TagxaiError, match=message):
        replace_words("a dog barks", replacements)


def test_why_here_and_not_there_is_a_difference_of_means():
    values = torch.rand(3, 2, 10, generator=torch.Generator().manual_seed(0))
    found = interval_difference(values, range(1, 3), range(4, 9))
    for unit in range(3):
        here = sum(values[unit, q, f] for q in range(2) for f in (1, 2)) / 4
        there = sum(values[unit, q, f] for q in range(2) for f in (4, 5, 6, 7, 8)) / 10
        assert found[unit].item() == pytest.approx((here - there).item(), abs=1e-6)
    assert torch.equal(interval_difference(values, range(2), range(2)), torch.zeros(3))


def test_prompt_and_history_add_up_to_the_log_probability(generator, generation):
    parts = prompt_and_history(generator, generation)
    with torch.no_grad():
        whole = generator.forward(generation).log_prob[0]
        null = generator.forward(generation, branch="unconditional").log_prob[0]
    torch.testing.assert_close(parts.history + parts.prompt, whole, **TOLERANCE)
    torch.testing.assert_close(parts.history, null, **TOLERANCE)
    # all words' Shapley values under the gate share out the same: the table without any word is the history
    none = score(generator, generation, (), torch.zeros(1, 0, dtype=torch.bool)).log_prob[0]
    torch.testing.assert_close(none, whole, **TOLERANCE)
