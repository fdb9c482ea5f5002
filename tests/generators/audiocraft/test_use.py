"""Methods keep their contract, and a model is unchanged after use."""

import copy

import numpy
import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.generators.audiocraft import attention as audiocraft_attention
from tagxai.generators.audiocraft.model import AudioGenGenerator
from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.shapley import Shapley
from tagxai.testing import check_method

pytest.importorskip("audiocraft")

PROMPT = "a dog barks while rain falls"
PROMPTS = [PROMPT, "rain", "the sound of a siren followed by thunder and birds"]


@pytest.mark.parametrize(
    "method",
    [
        AudioGenX(epochs=2),
        AudioGenX(mode="reference", epochs=2, hidden_units=8),
        CrossAttention(),
        InputXGradient(),
        Shapley(),
    ],
    ids=["audiogenx", "audiogenx_reference", "cross_attention", "input_x_gradient", "shapley"],
)
def test_methods_keep_their_contract_on_audiocraft(method, generator):
    check_method(method, generator, prompts=("a dog barks", "thunder"), duration=0.2)


def use(generator):
    """Everything an explanation does to a model, once: generate under a mask, score, edit, differentiate, fail."""
    clip = generator.generate(PROMPT, duration=0.2, seed=1)
    generator.generate(PROMPT, duration=0.2, mask=torch.ones(clip.positions, len(clip.tokens)))
    AudioGenX(epochs=1).attribute(generator, clip)
    generator.forward(clip, generator.encode_prompt(PROMPTS), branch="guided")
    for site in generator.attention_sites():
        with pytest.raises(ZeroDivisionError), edit_attention([site], lambda site, weights: 1 / 0):
            generator.forward(clip)
    with pytest.raises(ZeroDivisionError):
        generator.generate(PROMPT, duration=0.2, on_progress=lambda progress: 1 / 0)


def modules(generator):
    return [part for model in (generator.lm, generator.codec, generator.text_encoder) for part in model.modules()]


def test_weights_and_buffers_are_unchanged_after_use(generator):
    models = (generator.lm, generator.codec, generator.text_encoder)
    before = [copy.deepcopy(model.state_dict()) for model in models]
    use(generator)
    for model, state in zip(models, before, strict=True):
        after = model.state_dict()
        assert list(after) == list(state)
        assert all(torch.equal(after[name], value) for name, value in state.items())
        assert all(weight.grad is None for weight in model.parameters())


def test_hooks_and_streaming_state_are_gone_after_use(generator):
    def hooks():  # audiocraft's codec has some of its own, for weight norm
        names = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_backward_hooks")
        return [list(getattr(part, name)) for part in modules(generator) for name in names]

    before = hooks()
    use(generator)
    assert hooks() == before
    assert len(audiocraft_attention._recomputed) == 0
    for part in modules(generator):
        assert not getattr(part, "_is_streaming", False)
        assert not getattr(part, "_streaming_state", {})


def test_training_flags_and_requires_grad_are_as_the_constructor_set_them(generator):
    use(generator)
    assert not any(part.training for part in modules(generator))
    assert not any(weight.requires_grad for part in modules(generator) for weight in part.parameters())


def test_global_random_states_and_the_default_dtype_are_unchanged_by_loading_and_use(audiocraft_model):
    def state():  # not Python's own: while tests run, beartype draws from it
        return torch.random.get_rng_state().tolist(), repr(numpy.random.get_state()), torch.get_default_dtype()

    before = state()
    use(AudioGenGenerator.load(str(audiocraft_model)))
    assert state() == before
