"""captum's algorithms by name: the numbers of forward mode and of exact Shapley values, its options, its refusals."""

from dataclasses import fields, replace
from typing import get_args

import pytest
import torch

pytest.importorskip("captum")

from tagxai import Attribution
from tagxai.errors import TagxaiError, UnknownNameError, UnsupportedError
from tagxai.methods.captum.factory import captum_method
from tagxai.methods.captum.names import ALGORITHMS, PREFIX, REFUSED
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.integrated_gradients import IntegratedGradients
from tagxai.methods.shapley import Shapley
from tagxai.registering.registry import registry
from tagxai.scoring import leave_one_out, score
from tagxai.testing import check_method
from tagxai.text import words
from tagxai.text.words import By

QUICK = {"IntegratedGradients": {"n_steps": 3}, "ShapleyValueSampling": {"n_samples": 2}, "ShapleyValues": {}}


def made(name, **options):
    return registry().method(PREFIX + name).configure(options)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "ShapleyValues"])
def test_every_algorithm_conforms(name, generator):
    check_method(made(name, **QUICK.get(name, {})), generator, duration=0.2)


def test_exact_shapley_values_conform(generator):
    check_method(made("ShapleyValues"), generator, prompts=("a bell rings", "thunder"), duration=0.2)


# The same numbers


def per_code(scores, windows):
    """Scores [codebooks, frames, tokens] as the adapter gives them: the mean over all codes of a window."""
    expected = torch.empty(1, *scores.shape[1:])
    for window in windows:
        expected[0, window] = scores[:, window].mean((0, 1))
    return expected


@pytest.fixture(scope="module")
def halves(generation):
    """The frames of a clip of 1 s in windows of 0.5 s."""
    middle = generation.frames // 2
    return [slice(0, middle), slice(middle, generation.frames)]


@pytest.mark.parametrize(
    ("captums", "ours"),
    [
        (("InputXGradient", {}), InputXGradient()),
        (("IntegratedGradients", {"n_steps": 20}), IntegratedGradients(points=20)),
        (("IntegratedGradients", {"n_steps": 20, "internal_batch_size": 3}), IntegratedGradients(points=20)),
        (("InputXGradient", {"target": "guided"}), InputXGradient(target="guided")),
    ],
)
def test_captum_gives_the_numbers_of_forward_mode(captums, ours, generator, generation, halves):
    name, options = captums
    found = made(name, **options).attribute(generator, generation)
    expected = per_code(ours.attribute(generator, generation).scores, halves)
    torch.testing.assert_close(found.scores, expected, atol=1e-5, rtol=0)


def test_captums_saliency_is_the_length_of_a_windows_gradient(generator, generation, halves):
    found = made("Saliency").attribute(generator, generation).scores
    conditioning = generator.encode_prompt([generation.prompt])
    point = conditioning.embeddings.clone().requires_grad_()
    log_prob = generator.forward(generation, replace(conditioning, embeddings=point)).log_prob[0]
    for window in halves:
        (gradient,) = torch.autograd.grad(log_prob[:, window].mean(), point, retain_graph=True)
        torch.testing.assert_close(found[0, window.start], gradient[0].norm(dim=-1), atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def short_prompt(generator):
    return generator.generate("a dog barks", duration=0.4, seed=2)


@pytest.fixture(scope="module")
def exact(generator, short_prompt):
    """Exact Shapley values of the whole clip, the mean over its codes, [tokens]."""
    return Shapley().attribute(generator, short_prompt).scores.mean((0, 1))


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("ShapleyValues", {}, 1e-5),
        ("ShapleyValueSampling", {"n_samples": 400}, 0.03),
        ("KernelShap", {"n_samples": 2000}, 0.03),
    ],
)
def test_shapley_values_are_the_exact_ones_within_the_error_of_sampling(
    name, options, error, generator, short_prompt, exact
):
    found = made(name, resolution=None, **options).attribute(generator, short_prompt)
    assert (found.scores[0, 0] - exact).abs().max() < error * max(1e-3, exact.abs().max().item()) + 1e-5
    assert found.diagnostics["completeness_error_max"] < 1e-4


def test_feature_ablation_is_leaving_one_word_out(generator, generation):
    units = words.words(generation.prompt, generation.spans, generation.tokens)
    table = score(generator, generation, units, leave_one_out(len(units))).log_prob.mean((1, 2))
    found = made("FeatureAblation", resolution=None).attribute(generator, generation)
    expected = (table[0] - table[1:]).tolist()
    assert [s.score for s in found.per_word()] == pytest.approx(expected, abs=1e-5)
    occlusion = made("Occlusion", resolution=None).attribute(generator, generation)
    torch.testing.assert_close(occlusion.scores, found.scores, atol=1e-5, rtol=0)


# Windows and options


@pytest.mark.parametrize("name", ["FeatureAblation", "KernelShap", "Lime", "ShapleyValueSampling"])
def test_coalitions_are_scored_once_for_all_windows(name, generator, short_prompt):
    one, many = (made(name, resolution=r).attribute(generator, short_prompt) for r in (None, 0.04))
    assert one.cost.forward_passes == many.cost.forward_passes <= 2**4
    assert (one.diagnostics["windows"], many.diagnostics["windows"]) == (1, short_prompt.frames)


def test_windows_share_the_frames_between_them(generator, generation):
    whole = made("FeatureAblation", resolution=None).attribute(generator, generation)
    parts = made("FeatureAblation", resolution=0.3).attribute(generator, generation)
    assert parts.diagnostics["windows"] == 3
    torch.testing.assert_close(parts.scores.mean(1), whole.scores.mean(1), atol=1e-5, rtol=0)


def test_an_interval_is_explained_alone(generator, generation):
    found = made("FeatureAblation", start=0.2, end=0.6, resolution=None).attribute(generator, generation)
    asked = generation.frame_range(0.2, 0.6)
    assert (found.scores[0, asked.start : asked.stop] != 0).any()
    assert (found.scores[0, : asked.start] == 0).all()
    assert (found.scores[0, asked.stop :] == 0).all()
    with pytest.raises(TagxaiError, match="does not fit the clip"):
        made("FeatureAblation", start=0.2, end=9.0).attribute(generator, generation)


@pytest.mark.parametrize("name", ["KernelShap", "GradientShap"])
def test_the_seed_decides_what_is_drawn(name, generator, generation):
    options = {"n_samples": 8, "resolution": None}
    first, again, other = (
        made(name, seed=seed, **options).attribute(generator, generation).scores for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_options_are_those_of_captums_signature():
    names = {name: {field.name for field in fields(captum_method(PREFIX + name))} for name in ALGORITHMS}
    assert {"n_steps", "method", "internal_batch_size"} <= names["IntegratedGradients"]
    assert {"n_samples", "perturbations_per_eval", "operator", "by"} <= names["KernelShap"]
    assert {"sliding_window_shapes", "strides"} <= names["Occlusion"]
    assert {"n_samples", "stdevs"} <= names["GradientShap"]
    for options in names.values():
        assert not options & {"inputs", "baselines", "feature_mask", "return_convergence_delta", "show_progress"}


def test_an_option_has_captums_own_words():
    (n_steps,) = (f for f in fields(captum_method("captum:IntegratedGradients")) if f.name == "n_steps")
    assert n_steps.metadata["text"].startswith("The number of steps")


def test_phrases_or_tokens_are_taken_away_where_words_are_not(generator, generation):
    by = {by: made("FeatureAblation", resolution=None, by=by).attribute(generator, generation) for by in get_args(By)}
    prompt = generation.prompt, generation.spans, generation.tokens
    for name, split in (("word", words.words), ("phrase", words.phrases), ("token", words.tokens)):
        assert by[name].cost.forward_passes == 1 + len(split(*prompt))
    with pytest.raises(TagxaiError, match="one of word, phrase, token"):
        replace(made("FeatureAblation"), by="letter")


def test_options_may_be_text():
    method = made("IntegratedGradients", n_steps="7", internal_batch_size="none", resolution="0.25")
    assert (method.n_steps, method.internal_batch_size, method.resolution) == (7, None, 0.25)
    assert made("Occlusion", strides="2").strides == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "IntegratedGradients",
            {"n_step": 3},
            "no option of method 'captum:IntegratedGradients' named 'n_step'; did you",
        ),
        ("IntegratedGradients", {"n_steps": 0}, "option 'n_steps' .* must be at least 1, not 0"),
        ("GradientShap", {"stdevs": -0.5}, "option 'stdevs' .* must be at least 0"),
        ("KernelShap", {"resolution": 0.0}, "option 'resolution' .* must be above 0"),
    ],
)
def test_a_wrong_option_is_one_sentence(name, options, message):
    with pytest.raises(TagxaiError, match=message):
        made(name, **options)


# Names


@pytest.mark.parametrize("name", ["captum:KernalShap", "captum:kernelshap", "captum:KernelSHAP"])
def test_an_unknown_name_suggests_a_near_one(name):
    with pytest.raises(UnknownNameError, match=r"did you mean 'captum:KernelShap'\?"):
        registry().method(name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_a_reason_and_an_alternative(name):
    with pytest.raises(UnsupportedError, match=f"'captum:{name}' cannot explain these models: .*; take "):
        registry().method(f"captum:{name}")


def test_without_captum_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("tagxai.methods.captum.factory.find_spec", lambda package: None)
    captum_method.cache_clear()
    with pytest.raises(TagxaiError, match=r"needs the extra 'captum': pip install 'tagxai\[captum\]'"):
        registry().method("captum:Lime")


def test_a_class_is_made_once():
    assert registry().method("captum:Lime") is registry().method("captum:Lime")


# Odd prompts


@pytest.mark.parametrize("prompt", ["a", "bell bell bell", "собака лает", "dogs " * 30])
@pytest.mark.parametrize("name", ["InputXGradient", "KernelShap", "ShapleyValueSampling", "Lime", "Occlusion"])
def test_an_odd_prompt_is_explained(prompt, name, generator):
    clip = generator.generate(prompt, duration=0.08, seed=1)
    options = {"n_samples": 3} if name == "ShapleyValueSampling" else {}
    found = made(name, resolution=None, **options).attribute(generator, clip)
    assert isinstance(found, Attribution)
    assert torch.isfinite(found.scores).all()


@pytest.fixture(scope="module")
def end_of_text(generator, generation):
    nothing = generator.encode_prompt([""])
    return replace(generation, prompt="", tokens=nothing.tokens[0], spans=nothing.spans[0])


def test_the_end_of_text_alone_is_refused_or_has_all_of_the_effect(generator, end_of_text):
    with pytest.raises(TagxaiError, match="compares at least 2 units of a prompt; this one has 1"):
        made("KernelShap").attribute(generator, end_of_text)
    found = made("IntegratedGradients", n_steps=20, resolution=None).attribute(generator, end_of_text)
    assert found.diagnostics["completeness_error_max"] < 1e-3


def test_exact_values_of_a_long_prompt_are_refused_with_an_alternative(generator):
    clip = generator.generate("a dog barks while rain falls then a bell", duration=0.08)
    with pytest.raises(TagxaiError, match="expected at most 6 units, not 10; take captum:ShapleyValueSampling"):
        made("ShapleyValues").attribute(generator, clip)
