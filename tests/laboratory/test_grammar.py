"""Prompts say what they mean, held-out means held out, and what was said can be read back."""

import json
import re

import pytest

from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.phrases import ADJECTIVES, ADVERBS, PATTERNS, PHRASES
from tagxai.laboratory.language.streams import prompts
from tagxai.laboratory.sounds.clips import FORMS, SLOTS
from tagxai.laboratory.sounds.splits import combinations, negated_split, split_of
from tagxai.laboratory.sounds.styles import VALUES
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES, EVENTS

SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize("split", SPLITS)
def test_every_span_holds_the_words_of_its_event_or_attribute(split):
    content = {event: {phrase.content for phrase in phrases} for event, phrases in PHRASES.items()}
    for prompt in prompts(split, 300, seed=7):
        for mention in prompt.mentions:
            assert prompt.text[mention.start_char : mention.end_char] in content[mention.event]
            for attribute in mention.attributes:
                words = prompt.text[attribute.start_char : attribute.end_char]
                assert words in (*ADJECTIVES.get(attribute.value, ()), *ADVERBS[attribute.value])
                assert attribute.kind in ATTRIBUTES[mention.event]


def test_mentions_carry_the_interval_of_their_sound_and_not_of_their_place_in_the_text():
    seen = set()
    for prompt in prompts("train", 400):
        for mention in prompt.present:
            slot = SLOTS[prompt.form][prompt.events.index(mention.event)]
            width = 3.0 / (SLOTS[prompt.form][-1] + 1)
            assert (mention.start_s, mention.end_s) == (slot * width, (slot + 1) * width)
        in_text = tuple(mention.event for mention in prompt.present)
        if in_text != prompt.events:
            seen.add("before" if prompt.text.startswith("before") else "inner")
    assert seen == {"before", "inner"}


def test_every_word_has_one_kind_and_every_kind_is_met():
    kinds = set()
    for prompt in prompts("train", 200):
        words = prompt.words()
        assert [word.text for word in words] == re.findall(r"[^\s.,]+", prompt.text)
        for word in words:
            assert prompt.text[word.start_char : word.end_char] == word.text
            assert (word.mention is not None) == (word.kind in ("event", "attribute"))
            kinds.add(word.kind)
        assert all(any(w.mention == i and w.kind == "event" for w in words) for i in range(len(prompt.mentions)))
        json.dumps(prompt.to_dict())
    assert kinds == {"event", "attribute", "negation", "connective", "filler"}


@pytest.mark.parametrize("split", SPLITS)
def test_what_was_composed_can_be_parsed(split):
    for prompt in prompts(split, 1500, seed=3):
        again = parse(prompt.text)
        assert again is not None, prompt.text
        assert again.scene == prompt.scene, prompt.text
        assert again.mentions == prompt.mentions
        assert again.words() == prompt.words()


def test_capitals_change_neither_the_kind_of_a_word_nor_its_place():
    for prompt in prompts("test", 100, seed=4):
        kinds = [(word.start_char, word.kind, word.mention, word.attribute) for word in prompt.words()]
        for text in (prompt.text.upper(), prompt.text.capitalize()):
            loud = parse(text)
            assert loud.mentions == prompt.mentions
            assert [(word.start_char, word.kind, word.mention, word.attribute) for word in loud.words()] == kinds


@pytest.mark.parametrize(
    "text",
    ["", "   ", "a cow moos", "dog", "a dog barks a dog barks", "a dog barks, rain falls", "x " * 3000, "İİ a dog"],
)
def test_what_the_grammar_cannot_say_has_no_truth(text):
    assert parse(text) is None


@pytest.mark.parametrize("form", FORMS[1:])
def test_combinations_of_the_splits_are_disjoint_and_cover_everything(form):
    sets = [set(combinations(form, split)) for split in SPLITS]
    assert sum(map(len, sets)) == len(set.union(*sets))
    expected = 1
    for place in range(len(SLOTS[form])):
        expected *= len(EVENTS) - place
    assert len(set.union(*sets)) == expected


def test_both_orders_of_a_while_pair_share_a_split():
    for first, second in combinations("while", "test"):
        assert split_of("while", (second, first)) == "test"


def test_a_trained_triple_holds_no_pair_that_is_held_out():
    held_out = set(combinations("followed", "test")) | set(combinations("followed", "validation"))
    for first, second, third in combinations("sequence", "train"):
        assert not {(first, second), (second, third)} & held_out


@pytest.mark.parametrize("form", ["while", "followed"])
def test_every_event_is_tested_in_every_role(form):
    pairs = combinations(form, "test")
    assert {pair[0] for pair in pairs} == {pair[1] for pair in pairs} == set(EVENTS)


def test_denied_events_are_held_out_as_pairs_with_the_event_that_sounds():
    for split in ("train", "test"):
        denials = [prompt for prompt in prompts(split, 400) if prompt.scene.absent]
        assert denials
        for prompt in denials:
            assert (negated_split(prompt.events[0], prompt.scene.absent) == "test") == (split == "test")
            assert prompt.mentions[-1].absent
            assert prompt.scene.absent not in prompt.events


def test_no_sentence_is_in_two_splits():
    texts = [{p.text.rstrip(".") for p in prompts(split, 1500)} for split in SPLITS]
    assert sum(map(len, texts)) == len(set.union(*texts))


def test_every_pattern_and_every_attribute_value_is_used():
    many = prompts("train", 3000)
    values = {value for prompt in many for style in prompt.scene.styles for value in style.chosen().values()}
    assert values == {value for options in VALUES.values() for value in options}
    words = {word for prompt in many for word in prompt.text.replace(",", "").replace(".", "").split()}
    assert {word for p in PATTERNS["followed"] for word in re.findall(r"[a-z]+", p.text)} <= words


def test_the_same_seed_repeats_and_another_does_not():
    assert prompts("train", 50, seed=1) == prompts("train", 50, seed=1)
    assert prompts("train", 50, seed=1) != prompts("train", 50, seed=2)
