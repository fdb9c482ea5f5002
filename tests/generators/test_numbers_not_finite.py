"""Weights and results that are not finite: one true sentence that names them and their cause."""

import shutil

import pytest
import torch
from record_access import command
from refusing import refused
from safetensors.torch import load_file, save_file

from tagxai.errors import TagxaiError
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.occlusion import Occlusion

FEED_FORWARD = "decoder.model.decoder.layers.0.fc1.weight"
CODEC = "audio_encoder.decoder.layers.0.conv.bias"


@pytest.fixture
def changed(random_model, tmp_path):
    """A function that changes weights of a copy of the random checkpoint and gives the copy's folder."""

    def change(edit):
        folder = shutil.copytree(random_model, tmp_path / "changed")
        weights = load_file(folder / "model.safetensors")
        edit(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return folder

    return change


def put(name, value):
    def edit(weights):
        weights[name].view(-1)[0] = value

    return edit


def scaled(factor, *names):
    def edit(weights):
        for name in names:
            weights[name].mul_(factor)

    return edit


UP_DOWN = (FEED_FORWARD, FEED_FORWARD.replace("fc1", "fc2"))


@pytest.mark.parametrize(
    ("edit", "dtype", "sentence"),
    [
        (put(FEED_FORWARD, torch.nan), "float32", f"'{FEED_FORWARD}' holds NaN, so its checkpoint is damaged"),
        (put(CODEC, torch.nan), "bfloat16", f"'{CODEC}' holds NaN, so its checkpoint is damaged"),
        (put(FEED_FORWARD, -torch.inf), "float32", f"'{FEED_FORWARD}' holds infinity, so its checkpoint is damaged"),
        (put(FEED_FORWARD, 1e6), "float16", f"'{FEED_FORWARD}' holds infinity; if its checkpoint is whole, --dtype bf"),
        (scaled(3e4, *UP_DOWN), "float16", "logits at step 0 that are not finite in float16; float16 holds no number "),
    ],
    ids=["nan", "nan in the codec", "infinity", "too large for float16", "overflow in float16"],
)
def test_numbers_that_are_not_finite_are_named_with_their_cause(edit, dtype, sentence, changed, tmp_path):
    assert sentence in refused(tmp_path, f"musicgen:{changed(edit)}", "--dtype", dtype)


def test_what_overflows_in_float16_is_made_in_bfloat16(changed, tmp_path):
    folder = changed(scaled(3e4, *UP_DOWN))
    out = tmp_path / "out"
    result = command("generate", "rain", "-g", f"musicgen:{folder}", "-d", "0.2", "-o", out, "--dtype", "bfloat16")
    assert result.exit_code == 0


@pytest.fixture
def own(random_model):
    """A model whose weights a test may break after it was loaded."""
    return TransformersGenerator.load(str(random_model))


@pytest.mark.parametrize(
    ("name", "call", "what"),
    [
        ("text_encoder.shared.weight", lambda model, clip: model.encode_prompt(["rain"]), "embeddings of the prompt"),
        (FEED_FORWARD, lambda model, clip: model.forward(clip), "hidden states"),
        (FEED_FORWARD, lambda model, clip: model.hidden_states(clip), "hidden states"),
        ("decoder.lm_heads.0.weight", lambda model, clip: model.forward(clip), "log-probabilities"),
        (FEED_FORWARD, lambda model, clip: CrossAttention().attribute(model, clip), "hidden states"),
        (FEED_FORWARD, lambda model, clip: Occlusion().attribute(model, clip), "hidden states"),
        (CODEC, lambda model, clip: model.decode(clip), "audio samples"),
        (CODEC, lambda model, clip: model.generate("rain", duration=0.2), "audio samples"),
    ],
)
def test_weights_that_break_after_loading_are_named_where_they_are_used(name, call, what, own):
    clip = own.generate("a dog barks", duration=0.2)
    with torch.no_grad():
        own.model.get_parameter(name).fill_(torch.nan)
    with pytest.raises(TagxaiError, match=rf"computed {what} that are not finite in float32; '[\w.]+' holds NaN"):
        call(own, clip)


def test_a_guidance_scale_that_would_overflow_is_refused(generator):
    with pytest.raises(TagxaiError, match=r"^guidance_scale takes 0, or a size from 1e-06 to 1e\+06, not 1e\+300"):
        generator.generate("rain", duration=0.2, guidance_scale=1e300)


def test_an_edit_that_makes_numbers_not_finite_is_not_blamed_on_the_weights(generator, generation):
    from tagxai.contract.attention import edit_attention

    with (
        edit_attention(generator.cross_attention(), lambda site, weights: weights / 0),
        pytest.raises(TagxaiError, match="attention edits in use may be the cause"),
    ):
        generator.forward(generation)
