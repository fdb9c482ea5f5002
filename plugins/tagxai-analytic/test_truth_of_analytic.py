"""What the model knows of its own clips: which word makes which frames, and what metrics make of it."""

from dataclasses import replace

import pytest
import torch
from tagxai_analytic import AnalyticGenerator

from tagxai import Attribution, TagxaiError
from tagxai.metrics.best_word import Hit
from tagxai.metrics.families.localisation import Localisation
from tagxai.registering.registry import registry


@pytest.fixture(scope="module")
def linear():
    return AnalyticGenerator.load("linear")


def test_the_truth_says_which_word_makes_which_frames_and_what_each_is_there_for(linear):
    clip = linear.generate("a distant echo then thunder without siren", duration=1.0)
    truth = linear.truth(clip)
    masks = truth.mask.int().tolist()
    said = {clip.prompt[w.start : w.end]: (w, mask) for w, mask in zip(truth.words, masks, strict=True)}
    early, late, always, never = [1] * 5 + [0] * 5, [0] * 5 + [1] * 5, [1] * 10, [0] * 10
    expected = {
        "a": ("filler", False, never),
        "distant": ("attribute", True, always),
        "echo": ("event", True, late),
        "then": ("filler", False, never),
        "thunder": ("event", True, early),
        "without": ("negation", True, never),  # it takes sound away
        "siren": ("event", True, never),  # what it adds alone, the negation takes back
    }
    assert {text: (word.kind, word.causal, mask) for text, (word, mask) in said.items()} == expected


def test_a_modifier_whose_meaning_moved_to_the_next_token_acts_as_a_word_but_not_by_its_own_attention(linear):
    clip = linear.generate("a distant echo then thunder", duration=1.0)
    causal = {
        level: {clip.prompt[w.start : w.end] for w in linear.truth(clip, level).words if w.causal}
        for level in ("word", "attention")
    }
    assert causal == {"word": {"distant", "echo", "thunder"}, "attention": {"echo", "thunder"}}


def test_a_word_is_not_true_where_the_other_code_was_drawn():
    generator = AnalyticGenerator.load("logistic")
    clip = generator.generate("bell", duration=1.0)
    clip = replace(clip, record={"codes": torch.tensor([[1, 0] * 5, [1] * 10])})
    assert generator.truth(clip).mask[0].int().tolist() == [1, 0] * 5


def test_a_prompt_that_does_nothing_has_no_truth_and_metrics_say_so(linear):
    clip = linear.generate("the sound of nothing", duration=0.5)
    assert linear.truth(clip) is None
    flat = Attribution(clip, torch.zeros(1, 5, len(clip.tokens)), "random")
    with pytest.raises(TagxaiError, match="does not know for 'the sound of nothing'"):
        Hit().score(linear, clip, flat)
    clip = linear.generate("quietly", duration=0.5)
    flat = Attribution(clip, torch.zeros(1, 5, len(clip.tokens)), "random")
    with pytest.raises(TagxaiError, match="no event word is known to make sound in 'quietly'"):
        Hit().score(linear, clip, flat)


METRICS = [name for name, entry in registry().metrics.items() if issubclass(entry.cls, Localisation)]


@pytest.mark.parametrize("name", METRICS)
def test_exact_shapley_values_are_the_best_that_a_metric_knows(linear, name):
    clip = linear.generate("a bell then thunder without siren", duration=1.0)
    metric = registry().metric(name)()
    assert metric.score(linear, clip, registry().method("shapley")(operator="delete").attribute(linear, clip)) == 1.0
    uniform = Attribution(clip, torch.ones(1, 10, len(clip.tokens)), "random")
    assert metric.score(linear, clip, uniform) < 0.6
