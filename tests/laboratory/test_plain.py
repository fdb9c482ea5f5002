"""Plain phrasings: what is understood besides the grammar, what to write instead, and what is heard."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tagxai import load_generator
from tagxai.contract.hearing import Heard
from tagxai.laboratory.judging.hearing import remarks
from tagxai.laboratory.judging.interventions import replaced
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.plain import PLAIN
from tagxai.laboratory.language.suggesting import suggest, unknown_words
from tagxai.laboratory.sounds.synthesis import EVENTS


@pytest.fixture(scope="module")
def tiny():
    return load_generator("tiny")


def test_every_plain_phrasing_means_its_event():
    assert set(PLAIN) == set(EVENTS)
    for event, phrases in PLAIN.items():
        for phrase in phrases:
            prompt = parse(f"{phrase.article} {phrase.content}".strip())
            assert prompt is not None, phrase
            assert prompt.events == (event,)
            (mention,) = prompt.mentions
            assert prompt.text[mention.start_char : mention.end_char] == phrase.content


@pytest.mark.parametrize(
    ("text", "events", "absent"),
    [
        ("a dog barks, then rain falls", ("dog", "rain"), None),
        ("rain, followed by thunder", ("rain", "thunder"), None),
        ("rain without thunder", ("rain",), "thunder"),
        ("a loud siren", ("siren",), None),
        ("a glass breaks after someone knocks", ("knock", "glass"), None),
    ],
)
def test_plain_phrasings_stand_in_sentences(text, events, absent):
    prompt = parse(text)
    assert (prompt.events, prompt.scene.absent) == (events, absent)


@pytest.mark.parametrize("text", ["dog", "the dog", "dogs bark", "a dog barks during rain", "it barks", "people ring"])
def test_phrasings_that_the_model_does_not_play_mean_nothing(text):
    assert parse(text) is None


def test_a_plain_phrasing_can_be_replaced_by_another_event(tiny):
    prompt = parse("heavy rain while a church bell rings")
    rng = np.random.default_rng(0)
    for mention in prompt.mentions:
        text, other = replaced(prompt, mention, rng)
        assert other not in prompt.events
        assert text != prompt.text


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("dogs bark", "a dog barks"),
        ("the wind blows", "the wind howls"),
        ("a buzzer sounds", "an alarm beeps"),
        ("no dog barks", "rain falls without a dog barking"),
        ("no rain", "thunder rumbles without rain falling"),
        ("a knock sounds three times", "someone knocks on a door three times"),
        ("a dog barks 3 times", "a dog barks three times"),
        ("a dog barks during rain", "a dog barks while rain falls"),
        ("bees buzz after dogs bark", "a bee buzzes after a dog barks"),
        ("dogs bark, then a storm, then bees buzz", "a dog barks, then thunder rumbles, then a bee buzzes"),
        ("dogs bark with no thunder", "a dog barks without thunder rumbling"),
        ("a cow moos", None),
        ("", None),
    ],
)
def test_what_to_write_instead_is_a_sentence_of_the_grammar(text, instead):
    assert suggest(text) == instead
    assert instead is None or parse(instead) is not None


def test_a_remark_says_what_is_not_known_and_what_is():
    assert remarks("a dog barks") == remarks("heavy\train ") == []
    (unknown,) = remarks("a cow moos")
    assert "cow, moos" in unknown
    assert all(event in unknown for event in EVENTS)
    (reworded,) = remarks("dogs bark")
    assert "write 'a dog barks' instead" in reworded
    (long,) = remarks("a cow moos and " * 100 + " ".join(f"word{i}" for i in range(200)))
    assert "'a cow moos and a cow" in long
    assert len(long) < 600
    assert unknown_words("The loud dog barks without thunder, three times") == []


@pytest.mark.parametrize(
    ("heard", "sentence"),
    [
        (Heard(("dog", "rain"), ("rain", "dog")), "heard: dog, rain; as asked"),
        (Heard(("dog",), ("dog", "rain")), "heard: dog; asked for, not heard: rain"),
        (Heard(("dog", "bell"), ("dog",)), "heard: dog, bell; heard, not in the prompt: bell"),
        (Heard(("dog", "bell"), ("dog",), ("bell",)), "heard: dog, bell; denied, but heard: bell"),
        (Heard(("dog",)), "heard: dog; what this prompt asks for is not known"),
        (Heard((), ("dog",)), "heard: nothing that the detector knows; asked for, not heard: dog"),
    ],
)
def test_the_line_under_an_explanation_compares_what_is_heard_with_what_was_asked(heard, sentence):
    assert str(heard) == sentence


def test_a_clip_of_the_model_is_heard(tiny):
    clip = tiny.generate("a dog barks while rain falls", seed=0)
    assert tiny.heard(clip).as_asked
    quiet = torch.zeros_like(clip.waveform)
    silent = tiny.heard(replace(clip, waveform=quiet))
    assert silent.missing == ("dog", "rain")
