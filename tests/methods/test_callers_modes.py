"""The caller's modes change no number: every method, and every metric that differentiates or asks a method again."""

from dataclasses import replace

import pytest
import torch

from tagxai.contract.metric import MethodMetric
from tagxai.explaining.loading import load_generator
from tagxai.explaining.measuring import measure
from tagxai.methods.captum.names import ALGORITHMS, PREFIX
from tagxai.registering.registry import registry

METHODS = [*registry().methods, *(PREFIX + name for name in ALGORITHMS)]
METRICS = [
    name
    for name in registry().metrics
    if (issubclass(registry().metric(name), MethodMetric) or "gradients" in registry().metric(name).needs)
    and "truth" not in registry().metric(name).needs  # those of twins need clips in which two events are heard
]
PAIRS = ("changed_share", "changed_time")
"""Metrics of a caption and a changed one."""


@pytest.fixture(scope="module")
def short(generator):
    """A clip of few codes and few words: captum:ShapleyValues goes through all orders of them."""
    return generator.generate("a dog barks", duration=0.2, seed=3)


@pytest.fixture(scope="module")
def latent():
    """A model that offers what codes do not: coupled clips, and the truth."""
    return load_generator("latent")


@pytest.fixture(scope="module")
def latent_short(latent):
    return latent.generate("a dog barks", duration=0.2, seed=3, denoising_steps=4)


@pytest.fixture
def clip_for(request, generator, short):
    """A model that offers what a method or metric needs, and its clip."""

    def choose(needs):
        if needs <= generator.offers:
            return generator, short
        return request.getfixturevalue("latent"), request.getfixturevalue("latent_short")

    return choose


def read_in_inference_mode(clip):
    """The same clip as one that was loaded from a folder by a caller in inference mode."""
    record = {name: tensor.clone() for name, tensor in clip.record.items()}
    assert all(tensor.is_inference() for tensor in record.values())
    return replace(clip, record=record, waveform=clip.waveform.clone())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_gives_the_same_numbers_in_every_mode(name, clip_for):
    method = registry().method(name)()
    generator, short = clip_for(method.needed())
    expected = method.attribute(generator, short)
    with torch.no_grad():
        without = method.attribute(generator, short)
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        inference = method.attribute(generator, read_in_inference_mode(short))
        assert torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    for found in (without, inference):
        assert torch.equal(found.scores, expected.scores)
        assert found.settings == expected.settings  # also by the same mode of differentiation


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_that_asks_for_gradients_gives_the_same_number_in_every_mode(name, clip_for):
    given = {"changed": "a cat barks"} if name in PAIRS else {}
    metric, method = registry().metric(name)(**given), registry().method("saliency")()
    generator, short = clip_for(metric.needs | method.needed())
    attribution = method.attribute(generator, short)
    expected = measure(metric, generator, attribution, method)
    with torch.no_grad():
        assert measure(metric, generator, attribution, method) == expected
    with torch.inference_mode():
        clip = read_in_inference_mode(short)
        read = replace(attribution, generation=clip, scores=attribution.scores.clone())
        assert measure(metric, generator, read, method) == expected
        if isinstance(metric, MethodMetric):
            assert metric.score_method(generator, clip, read, method) == expected


def test_a_method_neither_needs_nor_leaves_gradients_on_weights(generator, short):
    """The caller may have unfrozen his model since."""
    method = registry().method("audiogenx")(epochs=2)
    expected = method.attribute(generator, short).scores
    weights = [weight for model in generator.modules().values() for weight in model.parameters()]
    for weight in weights:
        weight.requires_grad_(True)
    try:
        assert torch.equal(method.attribute(generator, short).scores, expected)
        assert all(weight.requires_grad and weight.grad is None for weight in weights)
    finally:
        for weight in weights:
            weight.requires_grad_(False)
