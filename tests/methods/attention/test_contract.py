"""Memory, odd prompts, and the contract."""

import weakref
from dataclasses import replace

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.contract.run import Run
from tagxai.methods.alti import ALTI
from tagxai.methods.atman import AtMan
from tagxai.methods.attention_grad_cam import AttentionGradCAM
from tagxai.methods.attention_rollout import AttentionRollout
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.daam import DAAM
from tagxai.methods.generic_attention import GenericAttention
from tagxai.methods.gradient_x_attention import GradientXAttention
from tagxai.methods.value_norms import ValueNorms
from tagxai.methods.value_zeroing import ValueZeroing
from tagxai.probing.attention_gradients import mixed_gradients
from tagxai.registering.registry import registry
from tagxai.testing import check_method

METHODS = {
    "cross_attention": CrossAttention(),
    "attention_rollout": AttentionRollout(),
    "generic_attention": GenericAttention(),
    "attention_grad_cam": AttentionGradCAM(),
    "gradient_x_attention": GradientXAttention(),
    "value_norms": ValueNorms(),
    "alti": ALTI(),
    "value_zeroing": ValueZeroing(),
    "atman": AtMan(threshold=0.7),
    "daam": DAAM(),
}


@pytest.mark.parametrize("method", [AttentionRollout(), ALTI()], ids=["attention_rollout", "alti"])
def test_no_more_than_one_layers_weights_are_alive_at_once(generator, generation, method):
    seen, most = [], 0

    def spy(site, weights):
        nonlocal most
        most = max(most, sum(old() is not None for old in seen))
        if site.kind == "self":
            seen.append(weakref.ref(weights))

    with edit_attention(generator.attention_sites(), spy):
        method.attribute(generator, generation)
    assert len(seen) == len(generator.cross_attention())
    assert most <= 1, "weights of an earlier layer are still held"


def test_the_backward_pass_of_gradient_methods_keeps_no_weights(generator, generation):
    saved = []
    keep = torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(tuple(t.shape)) or t, lambda t: t)
    with Run.opened(generator, generation, None) as run, keep:
        sites = generator.attention_sites()
        mixed_gradients(run, sites, [range(generation.frames)])
    square = (sites[0].heads, generation.positions, generation.positions)
    assert saved
    assert not [shape for shape in saved if shape[-3:] == square]


PROMPTS = {
    "one token": "dog",
    "60 tokens": " ".join(["dog rain bell"] * 20)[: -len(" bell")],
    "repeated words": "rain rain rain and rain",
    "another script": "собака лает 狗在叫",
    "end token as text": "</s>",
}


@pytest.mark.parametrize("name", METHODS)
def test_odd_prompts_are_explained(generator, name):
    for what, prompt in PROMPTS.items():
        clip = generator.generate(prompt, duration=0.3, seed=1)
        if what == "60 tokens":
            assert len(clip.tokens) == 60
        explanation = METHODS[name].attribute(generator, clip)
        assert explanation.scores.shape[1:] == (clip.frames, len(clip.tokens)), what
        assert len(explanation.per_word()) >= 1


@pytest.mark.parametrize("name", METHODS)
def test_a_prompt_of_the_end_token_alone_gets_all_of_everything(generator, generation, name):
    """One token: attention is 1 there, whatever the logits, and a softmax of one cannot be changed."""
    alone = replace(generation, prompt="", tokens=("</s>",), spans=((0, 0),))
    scores = METHODS[name].attribute(generator, alone).scores
    expected = {"cross_attention": 1.0, "daam": 1.0, "atman": 0.0}
    expected["attention_rollout"] = 1 - 0.5 ** len(generator.cross_attention())
    if name in expected:
        torch.testing.assert_close(scores, torch.full_like(scores, expected[name]), atol=1e-4, rtol=0)
    assert torch.isfinite(scores).all()


@pytest.mark.parametrize("name", METHODS)
def test_attention_methods_conform_on_audiocraft(name, audiocraft_generator):
    check_method(METHODS[name], audiocraft_generator)


def test_each_attention_method_is_registered():
    assert set(METHODS) <= set(registry().methods)
