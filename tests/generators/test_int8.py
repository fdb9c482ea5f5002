"""Models that are loaded with 8-bit weights: what it changes, and where it is refused."""

import gc
import sys
import weakref

import pytest
import torch

import tagxai
from tagxai.contract.workload import stored_bytes
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.identifying import model_identity
from tagxai.generators.quantised import is_quantised, keep_in_eight_bits


def test_a_decoder_in_eight_bits_generates_and_is_explained(random_model):
    pytest.importorskip("torchao")
    plain = tagxai.load_generator(f"musicgen:{random_model}")
    small = tagxai.load_generator(f"musicgen:{random_model}", dtype="int8")
    layers = small.model.decoder.model.decoder.layers
    linear = [part for part in layers.modules() if hasattr(part, "in_features")]
    assert linear
    assert all(is_quantised(part) for part in linear)
    assert not any(is_quantised(head) for head in small.model.decoder.lm_heads)
    clip = plain.generate("a dog barks", duration=0.2, seed=3)
    exact, rounded = plain.forward(clip).log_prob, small.forward(clip).log_prob
    assert 0 < (exact - rounded).abs().max() < 0.05
    assert plain.identity() != small.identity()
    assert plain.identity().same_model(small.identity())  # in another type: its clips may be asked about with either
    assert small.identity().dtype == "float32, quantised"
    for method in ("shapley", "value_zeroing", "input_x_gradient"):
        found = tagxai.explain(small.generate("a dog barks", duration=0.2), method=method, generator=small)
        assert torch.isfinite(found.scores).all()
    again = tagxai.load_generator(f"musicgen:{random_model}", dtype="int8")
    assert model_identity(again) == model_identity(small)
    first, second = (model.generate("a dog", duration=0.2).waveform for model in (small, again))
    assert torch.equal(first, second)


def test_one_pass_and_both_modes_of_differentiation_explain_a_decoder_in_eight_bits(random_model):
    pytest.importorskip("torchao")
    plain = tagxai.load_generator(f"musicgen:{random_model}")
    small = tagxai.load_generator(f"musicgen:{random_model}", dtype="int8")
    clip = plain.generate("a dog barks", duration=0.2, seed=3)
    for method in ("share_x_alti_logit", "alti", "value_norms", "cross_attention"):
        exact, rounded = (tagxai.explain(clip, method=method, generator=model).scores for model in (plain, small))
        assert 0 < (exact - rounded).norm() < 0.1 * exact.norm()
    forward, reverse = (
        tagxai.explain(clip, method="input_x_gradient", generator=small, mode=mode).scores
        for mode in ("forward", "reverse")
    )
    torch.testing.assert_close(forward, reverse, rtol=1e-3, atol=1e-5)


def test_the_memory_of_eight_bits_is_counted_as_it_is(random_model):
    pytest.importorskip("torchao")
    plain = tagxai.load_generator(f"musicgen:{random_model}")
    small = tagxai.load_generator(f"musicgen:{random_model}", dtype="int8")
    layers = plain.model.decoder.model.decoder.layers
    linear = [part.weight for part in layers.modules() if isinstance(part, torch.nn.Linear)]
    saved = sum(weight.numel() * 3 for weight in linear)
    scales = sum(len(weight) * 4 for weight in linear)
    assert saved - 3 * scales <= stored_bytes(plain) - stored_bytes(small) <= saved - scales


def test_the_weights_that_were_rounded_are_let_go(random_model, monkeypatch):
    pytest.importorskip("torchao")
    known = []

    def watched(model):
        linear = (part for part in model.model.decoder.model.modules() if isinstance(part, torch.nn.Linear))
        known.extend(weakref.ref(part.weight) for part in linear)
        keep_in_eight_bits(model)

    monkeypatch.setattr("tagxai.explaining.loading.keep_in_eight_bits", watched)
    small = tagxai.load_generator(f"musicgen:{random_model}", dtype="int8")
    gc.collect()
    assert known
    assert not any(each() is not None for each in known)
    assert not any(weight.requires_grad for weight in small.model.parameters())


def test_without_torchao_the_refusal_names_the_extra(random_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(TagxaiError, match=r"dtype int8 needs torchao: pip install 'tagxai\[int8\]'"):
        tagxai.load_generator(f"musicgen:{random_model}", dtype="int8")


def test_a_backend_that_was_not_tested_so_is_refused():
    with pytest.raises(UnsupportedError, match="generator 'latent' cannot be loaded in int8; use bfloat16"):
        tagxai.load_generator("latent", dtype="int8")
