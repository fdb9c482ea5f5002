"""Prompts say what they mean, and held-out means held out."""

import pytest

from tagxai.tiny.grammar import prompts
from tagxai.tiny.phrases import PHRASES
from tagxai.tiny.sounds import EVENTS
from tagxai.tiny.splits import combinations, split_of

SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize("split", SPLITS)
def test_every_span_holds_the_content_words_of_its_event(split):
    content = {event: {p.text[slice(*p.span)] for p in phrases} for event, phrases in PHRASES.items()}
    for prompt in prompts(split, 300, seed=7):
        for mention in prompt.mentions:
            assert prompt.text[mention.start_char : mention.end_char] in content[mention.event]


def test_followed_splits_the_clip_and_while_shares_it():
    for prompt in prompts("train", 90):
        times = [(mention.start_s, mention.end_s) for mention in prompt.mentions]
        expected = {
            "single": [(0.0, 3.0)],
            "while": [(0.0, 3.0), (0.0, 3.0)],
            "followed": [(0.0, 1.5), (1.5, 3.0)],
        }
        assert times == expected[prompt.form]


@pytest.mark.parametrize("form", ["while", "followed"])
def test_combinations_of_the_splits_are_disjoint_and_cover_all_pairs(form):
    sets = [set(combinations(form, split)) for split in SPLITS]
    assert sum(map(len, sets)) == len(set.union(*sets))
    assert len(set.union(*sets)) == len(EVENTS) * (len(EVENTS) - 1)


def test_both_orders_of_a_while_pair_share_a_split():
    for first, second in combinations("while", "test"):
        assert split_of("while", (second, first)) == "test"


def test_every_event_is_tested_in_every_role():
    for form in ("while", "followed"):
        pairs = combinations(form, "test")
        assert {pair[0] for pair in pairs} == {pair[1] for pair in pairs} == set(EVENTS)


def test_no_sentence_is_in_two_splits():
    texts = [{p.text.rstrip(".") for p in prompts(split, 1500)} for split in SPLITS]
    assert sum(map(len, texts)) == len(set.union(*texts))


def test_the_same_seed_repeats_and_another_does_not():
    assert prompts("train", 50, seed=1) == prompts("train", 50, seed=1)
    assert prompts("train", 50, seed=1) != prompts("train", 50, seed=2)
