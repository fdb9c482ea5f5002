"""Models with quantised weights: what needs no gradients works, and what would be wrong is refused in one sentence."""

import copy
import warnings

import pytest
import torch

from tagxai.errors import UnsupportedError
from tagxai.explaining.measuring import measure
from tagxai.generators.quantised import without_derivative
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.registering.registry import registry

quantization = pytest.importorskip("torch.ao.quantization")


DIFFERENTIATING = [name for name in registry().methods if "gradients" in registry().method(name).needs]


@pytest.fixture(scope="module")
def quantised(generator):
    with warnings.catch_warnings(action="ignore"):  # torch will drop it, in favour of torchao
        model = quantization.quantize_dynamic(copy.deepcopy(generator.model), {torch.nn.Linear}, dtype=torch.qint8)
    return TransformersGenerator(model, generator.tokenizer)


@pytest.fixture(scope="module")
def clip(generator):
    return generator.generate("a dog barks", duration=0.2, seed=3)


def test_a_quantised_model_generates_and_scores_as_the_model_does_but_for_rounding(quantised, generator, clip):
    assert quantised.dtype == torch.float32
    assert torch.isfinite(quantised.generate("a dog barks", duration=0.2, seed=3).waveform).all()
    difference = (quantised.forward(clip).log_prob - generator.forward(clip).log_prob).abs().max()
    assert 0 < difference < 0.1


@pytest.mark.parametrize("name", ["cross_attention", "daam", "value_norms", "alti", "shapley"])
def test_methods_without_gradients_work_on_it(name, quantised, generator, clip):
    method = registry().method(name)()
    found, expected = (method.attribute(model, clip).scores for model in (quantised, generator))
    assert 0 < (found - expected).norm() < expected.norm()


@pytest.mark.parametrize("name", DIFFERENTIATING)
def test_methods_with_gradients_refuse_it_in_one_sentence(name, quantised, clip):
    """AudioGenX above all, which would learn its mask from the penalties alone."""
    told = r"lacks: '[\w.]+' is quantised in a way that torch cannot differentiate$"
    with pytest.raises(UnsupportedError, match=told):
        registry().method(name)().attribute(quantised, clip)


def test_quantised_weights_are_not_shuffled(quantised, generator, clip):
    method = registry().method("cross_attention")()
    attribution = method.attribute(quantised, clip)
    with pytest.raises(UnsupportedError, match="has quantised weights, which cannot be shuffled"):
        measure(registry().metric("cascading_randomisation")(), quantised, attribution, method)


def test_a_quantised_part_that_passes_gradients_is_no_obstacle(generator):
    """torchao's weights and bitsandbytes' modules, for which this one stands: it computes with rounded weights."""

    class Rounded(torch.nn.Linear):
        def forward(self, rows):
            return torch.nn.functional.linear(rows, self.weight.round(decimals=2))

    class Cut(Rounded):
        def forward(self, rows):
            return super().forward(rows.detach())

    Rounded.__module__ = Cut.__module__ = "bitsandbytes.nn"
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), Rounded(3, 3))
    model.requires_grad_(False)
    with torch.inference_mode():
        assert without_derivative([model]) is None
    model.append(Cut(3, 3).requires_grad_(False))
    assert without_derivative([model]) == "2"
