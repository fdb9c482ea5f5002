"""Tokens -> words -> phrases on prompts that are easy to get wrong."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagxai.text import words as words_module
from tagxai.text.words import phrases, unknown, words


def tokenise(prompt, pattern=r"\w+|[^\w\s]"):
    spans = [match.span() for match in re.finditer(pattern, prompt)] + [(len(prompt), len(prompt))]
    return spans, [prompt[start:end] for start, end in spans[:-1]] + ["</s>"]


def texts(units):
    return [unit.text for unit in units]


@pytest.mark.parametrize(
    "prompt",
    [
        "a dog barks while rain falls",
        "The sound of a barking dog, without thunder; it doesn't rain.",
        "  two   spaces\tand a tab ",
        "wind-swept trees (far away)",
        "犬が吠える and rain",
        "...",
        "dog dog dog",
    ],
)
@pytest.mark.parametrize("pattern", [r"\w+|[^\w\s]", r"\w{1,3}|[^\w\s]", r"\S"])
def test_every_token_is_in_exactly_one_word_and_one_phrase(prompt, pattern):
    spans, tokens = tokenise(prompt, pattern)
    for units in (words(prompt, spans, tokens), phrases(prompt, spans, tokens)):
        assert sorted(token for unit in units for token in unit.tokens) == list(range(len(tokens)))
        assert units[-1].text == "</s>"
        assert units[-1].special
        for unit in units[:-1]:
            assert unit.text == prompt[unit.start : unit.end]


def test_sub_words_and_contractions_join():
    prompt = "it doesn't thunder"
    units = words(
        prompt, [(0, 2), (3, 7), (7, 10), (11, 14), (14, 18), (18, 18)], ["it", "does", "n't", "thu", "nder", "</s>"]
    )
    assert texts(units) == ["it", "doesn't", "thunder", "</s>"]
    assert [unit.tokens for unit in units] == [(0,), (1, 2), (3, 4), (5,)]
    assert units[1].negation


@pytest.mark.parametrize("space", [(7, 7), (6, 7), (6, 6)])
def test_a_token_of_space_alone_joins_the_word_that_it_stands_before(space):
    prompt = "собака лает"  # the spans as T5's tokenizer gives them, and as others may
    spans = [(0, 1), (0, 6), space, (7, 11), (11, 11)]
    found = words(prompt, spans, ["▁", "<unk>", "▁", "<unk>", "</s>"])
    assert [(unit.text, unit.tokens) for unit in found] == [("собака", (0, 1)), ("лает", (2, 3)), ("</s>", (4,))]
    assert [unit.special for unit in found] == [False, False, True]


def test_a_token_that_opens_the_prompt_stays_itself():
    found = words("dog", [(0, 0), (0, 3), (3, 3)], ["<s>", "dog", "</s>"])
    assert [(unit.text, unit.special) for unit in found] == [("<s>", True), ("dog", False), ("</s>", True)]


def test_function_words_and_negations_are_marked():
    prompt = "The sound of rain without thunder"
    marked = {unit.text: unit for unit in words(prompt, *tokenise(prompt))}
    assert [text for text, unit in marked.items() if unit.function] == ["The", "of", "without"]
    assert [text for text, unit in marked.items() if unit.negation] == ["without"]


def test_noun_phrases_join_and_the_rest_stays_alone():
    prompt = "The sound of a barking dog while rain falls"
    assert texts(phrases(prompt, *tokenise(prompt))) == [
        "The sound",
        "of",
        "a barking dog",
        "while",
        "rain",
        "falls",
        "</s>",
    ]


def test_without_the_english_model_words_are_still_words(monkeypatch):
    monkeypatch.setattr(words_module, "SPACY_MODEL", "no-such-model")
    words_module._pipeline.cache_clear()
    try:
        prompt = "a dog barks, then rain"
        assert texts(words(prompt, *tokenise(prompt))) == ["a", "dog", "barks", "then", "rain", "</s>"]
        assert texts(phrases(prompt, *tokenise(prompt))) == ["a", "dog", "barks", "then", "rain", "</s>"]
    finally:
        words_module._pipeline.cache_clear()


def test_the_characters_that_a_tokenizer_does_not_know_are_named_themselves():
    prompt = "狗 and dog☃"
    spans = [(0, 0), (0, 1), (2, 5), (6, 9), (9, 10), (10, 10)]
    tokens = ["▁", "<unk>", "▁and", "▁dog", "<unk>", "</s>"]
    assert unknown(prompt, spans, tokens) == ("狗", "☃")
    assert unknown("and", [(0, 3), (3, 3)], ["▁and", "</s>"]) == ()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.sampled_from([r"\w+|[^\w\s]", r"\w{1,3}|[^\w\s]", r"\S"]))
def test_units_of_any_text_partition_its_tokens_and_lie_where_they_say(prompt, pattern):
    spans, tokens = tokenise(prompt, pattern)
    for split in (words, phrases, words_module.tokens):
        units = split(prompt, spans, tokens)
        assert sorted(token for unit in units for token in unit.tokens) == list(range(len(tokens)))
        spoken = [unit for unit in units if not unit.special]
        for unit in spoken:
            assert 0 <= unit.start < unit.end <= len(prompt)
            assert unit.text == prompt[unit.start : unit.end]
        for before, after in pairwise(sorted(spoken, key=lambda unit: unit.start)):
            assert before.end <= after.start
