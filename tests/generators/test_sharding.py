"""A model in shards gives what the whole model gives. Here a shard is a layer on disk that accelerate loads when it is
used: accelerate's hooks, its placement and our own edits are real, but no two devices meet (no test machine has them).
"""

import sys

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import load_generator
from tagxai.generators.transformers import model as transformers
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.probing.edits import Capture

PROMPT = "a dog barks while rain falls"
WHOLE = ("embed_tokens", "embed_positions", "layers.0", "layer_norm")
PLACES = dict.fromkeys(("text_encoder", "audio_encoder", "enc_to_dec_proj", "decoder.lm_heads"), "cpu")
PLACES |= {f"decoder.model.decoder.{part}": "cpu" for part in WHOLE} | {"decoder.model.decoder.layers.1": "disk"}


@pytest.fixture(scope="module")
def sharded(random_model, tmp_path_factory):
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("offload")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformers, "_placement", lambda: {"device_map": PLACES, "offload_folder": str(folder)})
        return TransformersGenerator.load(str(random_model), device="sharded")


def test_a_shard_is_not_in_memory_and_every_part_answers_where_it_is_asked(sharded):
    layers = sharded.model.decoder.model.decoder.layers
    assert [layer.fc1.weight.device.type for layer in layers] == ["cpu", "meta"]
    parts = (sharded.model.text_encoder, sharded.model.decoder.model, *sharded.model.decoder.lm_heads)
    assert all(part._hf_hook.io_same_device for part in parts)


def test_a_sharded_model_generates_and_is_explained_like_the_whole(sharded, generator, generation):
    made = sharded.generate(PROMPT, duration=0.4, seed=2)
    assert torch.equal(made.record["codes"], generator.generate(PROMPT, duration=0.4, seed=2).record["codes"])
    seen = [Capture(keep_layers=True), Capture(keep_layers=True)]
    for capture, model in zip(seen, (sharded, generator), strict=True):
        with torch.no_grad(), edit_attention(model.cross_attention(), capture):
            model.forward(generation)
    torch.testing.assert_close(seen[0].weights(), seen[1].weights())
    for method in (AudioGenX(epochs=2), InputXGradient()):
        scores = [method.attribute(model, generation).scores for model in (sharded, generator)]
        torch.testing.assert_close(*scores)


def test_without_accelerate_sharding_says_what_to_install(random_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(TagxaiError, match=r"needs accelerate: pip install 'tagxai\[sharding\]'"):
        load_generator(f"musicgen:{random_model}", device="sharded")


def test_a_generator_that_cannot_be_sharded_is_refused_before_it_is_loaded():
    with pytest.raises(UnsupportedError, match="generator 'audiogen' cannot be sharded; use one device"):
        load_generator("audiogen", device="sharded")
