"""`tagxai.explain`: prompts or clips, one or a list, by one method or several."""

import pytest
import torch

import tagxai
from tagxai import Attribution, TagxaiError
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explain import _methods as methods_of
from tagxai.explaining.explain import _sources as sources_of
from tagxai.explaining.prompts import duration_warnings, prompt_warnings
from tagxai.explaining.shared import shared_generator
from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.random import Random

PROMPTS = ["a dog barks", "rain falls", "a dog barks"]


@pytest.fixture
def asked(generator, monkeypatch):
    """The requests of each call for clips."""
    calls = []
    make = type(generator).generate_many

    def generate_many(self, requests, **options):
        calls.append(list(requests))
        return make(self, requests, **options)

    monkeypatch.setattr(type(generator), "generate_many", generate_many)
    return calls


def test_a_list_of_prompts_is_a_list_of_explanations_of_clips_made_together(generator, asked):
    found = tagxai.explain(PROMPTS, method="random", generator=generator, duration=0.2, seed=4)
    assert [each.generation.prompt for each in found] == PROMPTS
    assert [[request.prompt for request in call] for call in asked] == [PROMPTS[:2]]  # equal ones are one clip
    for each, prompt in zip(found, PROMPTS, strict=True):
        alone = tagxai.explain(prompt, method="random", generator=generator, duration=0.2, seed=4)
        assert isinstance(alone, Attribution)
        assert alone.generation.sounds_as(each.generation)
        assert torch.equal(alone.scores, each.scores)


@pytest.mark.parametrize(
    "method", ["random,cross_attention", ["random", "cross_attention"], [Random(), "cross_attention"]]
)
def test_several_methods_are_a_comparison(method, generator, asked):
    found = tagxai.explain("a dog", method=method, generator=generator, duration=0.2)
    assert isinstance(found, Comparison)
    assert list(found.explanations) == ["random", "cross_attention"]
    assert found.generation_seconds > 0
    assert len(asked) == 1
    each = tagxai.explain(["a dog", "a bell"], method=method, generator=generator, duration=0.2)
    assert [comparison.generation.prompt for comparison in each] == ["a dog", "a bell"]


@pytest.mark.parametrize("method", ["audiogenx", ["random", "audiogenx"]])
def test_a_list_is_explained_together_by_methods_that_gain_by_it(method, generator, monkeypatch):
    together, own = [], AudioGenX.attribute_many
    monkeypatch.setattr(
        AudioGenX, "attribute_many", lambda *given, **named: together.append(given[2]) or own(*given, **named)
    )
    found = tagxai.explain(PROMPTS, method=method, generator=generator, duration=0.2, epochs=2)
    assert len(together) == 1
    for each in found:
        explained = each.explanations["audiogenx"].attribution if isinstance(each, Comparison) else each
        alone = AudioGenX(epochs=2).attribute(generator, explained.generation)
        assert torch.equal(explained.scores, alone.scores)


def test_a_method_of_several_that_fails_does_not_end_the_others(generator, monkeypatch):
    monkeypatch.setattr(Random, "explain", lambda self, run: 1 / 0)
    found = tagxai.explain("a dog", method="random,cross_attention", generator=generator, duration=0.2)
    assert list(found.explanations) == ["cross_attention"]
    assert "division by zero" in found.failures["random"]


def test_a_clip_made_earlier_is_explained_as_it_is(generator, generation, asked, monkeypatch):
    found = tagxai.explain(generation, method="random", generator=generator)
    assert found.generation is generation
    assert all(call == [] for call in asked)
    loaded = []
    monkeypatch.setattr("tagxai.explaining.explain.shared_generator", lambda spec: loaded.append(spec) or generator)
    both = tagxai.explain([generation, "a bell"], method="random")
    assert both[0].generation is generation
    assert both[1].generation.prompt == "a bell"
    assert loaded == [generation.generator]


def test_options_are_sampling_settings_that_the_generator_declares_or_the_method_s(generator):
    found = tagxai.explain(
        "a dog", method="audiogenx", generator=generator, duration=0.2, temperature=0.5, top_k=7, epochs=1, beta=0.2
    )
    assert {"temperature": 0.5, "top_k": 7}.items() <= found.generation.settings.items()
    assert (found.settings["epochs"], found.settings["beta"], found.settings["temperature"]) == (1, 0.2, 1.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"prompt": ["a dog", " "]}, "the prompt is empty"),
        ({"method": []}, "no method was given"),
        ({"method": ["random", Random()]}, "method 'random' is given twice"),
        ({"method": "random,shaply"}, "did you mean 'shapley'"),
        ({"method": "random", "temperatures": 1}, "did you mean 'temperature'"),
        ({"method": AudioGenX(), "epochs": 1}, "give them to the method itself"),
        ({"temperature": -1}, "temperature must be a number of at least 0, not -1"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(given, told, generator):
    arguments = {"prompt": "a dog", "method": "random", "duration": 0.2} | given
    with pytest.raises(TagxaiError, match=r"^[^\n]*$") as error:
        tagxai.explain(arguments.pop("prompt"), generator=generator, **arguments)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("given", "named"),
    [(Random, "the class Random; write Random()"), (["daam", Random], "the class Random; write Random()"), (5, "5")],
)
def test_what_is_no_method_is_one_sentence(given, named, generator):
    with pytest.raises(TagxaiError) as raised:
        methods_of(given, {}, generator)
    assert str(raised.value) == f"a method is a name or a Method, not {named}"


def test_what_is_no_generator_is_one_sentence():
    with pytest.raises(TagxaiError, match=r"^a generator is a name, a NAME:SOURCE or a Generator, not 5$"):
        shared_generator(5)


def test_what_is_no_prompt_is_one_sentence():
    for wrong in (3, ["a dog", None]):
        refusal = r"must be a prompt, a Generation, or a list of them, not (int 3|NoneType)"
        with pytest.raises(TagxaiError, match=refusal):
            sources_of(wrong)


def test_a_clip_and_what_does_not_go_with_it_is_one_sentence(generator, generation):
    for more in ({"duration": 0.2}, {"seed": 1}, {"top_k": 3}):
        with pytest.raises(TagxaiError, match="explained as it is"):
            tagxai.explain(generation, method="random", generator=generator, **more)
    with pytest.raises(TagxaiError, match="is not the model that made this clip"):
        tagxai.explain(generation, method="random", generator="tiny")


def test_a_clip_longer_than_what_the_model_was_trained_on_is_reported_once(generator, monkeypatch):
    monkeypatch.setattr(generator, "trained_duration", 0.2)
    with pytest.warns(
        UserWarning, match=r"was trained on clips of up to 0\.2 s: the rest of 0\.4 s may repeat"
    ) as seen:
        tagxai.explain(["rain", "a dog"], method="random", generator=generator, duration=0.4)
    assert len([each for each in seen if "was trained on" in str(each.message)]) == 1
    assert duration_warnings(generator, 0.2) == []


def test_released_musicgen_is_trained_on_30_seconds_and_makes_longer_clips():
    from tagxai.generators.transformers.model import TransformersGenerator

    assert TransformersGenerator.trained_duration == 30.0


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("a doré dog", "does not know 'é': the"),
        ("狗 dog ☃", "does not know '狗', '☃': the"),
        ("a dog’s “bark”", None),
    ],
)
def test_what_a_tokenizer_does_not_know_is_named_by_its_characters(prompt, named, generator):
    warnings = prompt_warnings(generator, prompt)
    assert (warnings == []) if named is None else (named in warnings[0])
