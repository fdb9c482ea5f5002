"""Deleting units from a prompt, on any prompt: their characters go, all others stay."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tagxai.scoring import permuted, without
from tagxai.text.words import Unit

PROMPTS = st.text(st.sampled_from("abcDé犬 \t,.'-"), max_size=30)


def units_of(prompt):
    """Each run of letters is a unit; punctuation belongs to no unit."""
    return [Unit(match[0], *match.span(), ()) for match in re.finditer(r"\w+", prompt)]


@settings(max_examples=60, deadline=None)
@given(PROMPTS, st.data())
def test_exactly_the_letters_of_deleted_units_go_and_blanks_are_tidy(prompt, data):
    units = units_of(prompt)
    kept = data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units)))
    left = without(prompt, units, kept)
    letters = "".join(unit.text for unit, keep in zip(units, kept, strict=True) if keep)
    assert "".join(re.findall(r"\w", left)) == letters
    assert left == " ".join(left.split())


@settings(max_examples=60, deadline=None)
@given(PROMPTS, st.data())
def test_punctuation_goes_with_a_deleted_unit_that_it_touches_and_no_other(prompt, data):
    units = units_of(prompt)
    kept = data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units)))
    decisions, chunks = iter(kept), []
    for chunk in prompt.split():  # what is written together: a deletion never reaches across a blank
        parts = re.findall(r"\w+|[^\w\s]+", chunk)
        deleted = [bool(re.match(r"\w", part)) and not next(decisions) for part in parts]
        loose = [not re.match(r"\w", part) for part in parts]
        gone = [
            deleted[i] or (loose[i] and (any(deleted[max(0, i - 1) : i]) or any(deleted[i + 1 : i + 2])))
            for i in range(len(parts))
        ]
        chunks.append("".join(part for part, is_gone in zip(parts, gone, strict=True) if not is_gone))
    assert without(prompt, units, kept) == " ".join(chunk for chunk in chunks if chunk)


@settings(max_examples=40, deadline=None)
@given(PROMPTS)
def test_keeping_every_unit_changes_nothing_but_blanks(prompt):
    units = units_of(prompt)
    assert without(prompt, units, [True] * len(units)) == " ".join(prompt.split())


def test_an_order_builds_up_its_subsets_one_unit_at_a_time():
    orders = [[2, 0, 1], [1, 2, 0]]
    built = permuted(orders).tolist()
    literal = [[unit in order[:size] for unit in range(3)] for order in orders for size in range(4)]
    assert built == literal
