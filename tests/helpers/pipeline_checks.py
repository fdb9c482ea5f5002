"""What every adapter of a diffusers pipeline must show, whatever its model."""

import json
import shutil

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.contract.request import Request
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import load_generator
from tagxai.probing.edits import Capture, Gate

PROMPT = "a dog barks while rain falls"


def check_masked_generation(model, *, frames, duration, matters=0.1, **settings):
    """Generating under a mask sees the weights of a masked pass over what it made, at every step; the mask matters."""
    model.levels = 8
    tokens = len(model.encode_prompt([PROMPT]).tokens[0])
    mask = torch.rand(frames, tokens, generator=torch.Generator().manual_seed(0))
    streamed, forced = (Capture(keep_layers=True, keep_heads=True) for _ in range(2))
    cross = model.cross_attention()
    with edit_attention(cross, streamed):
        clip = model.generate(PROMPT, duration=duration, seed=2, mask=mask, **settings)
    with torch.no_grad(), edit_attention(cross, forced), edit_attention(cross, Gate(mask)):
        masked = model.forward(clip)
    torch.testing.assert_close(streamed.weights(), forced.weights(), atol=1e-5, rtol=1e-5)
    assert (model.forward(clip).hidden - masked.hidden).abs().max() > matters


def requests(seeds):
    """With the prompt and without it, of some seeds."""
    return [Request(PROMPT, 0.6, seed, None, branch) for seed in range(seeds) for branch in ("guided", "unconditional")]


def check_lists(model, asked):
    """Clips of a list are those of one-by-one calls, bit for bit."""
    for request, made in zip(asked, model.generate_many(asked), strict=True):
        alone = model.generate_one(request)
        assert torch.equal(made.record["latents"], alone.record["latents"])
        assert torch.equal(made.waveform, alone.waveform)


def check_lower_precision(low, model, clip, share):
    """In bfloat16 hidden states stay within a `share` of their mean size, and are float32."""
    with torch.no_grad():
        found, expected = low.forward(clip), model.forward(clip)
    assert low.dtype == torch.bfloat16
    assert found.hidden.dtype == found.log_prob.dtype == torch.float32
    assert 0 < (found.hidden - expected.hidden).abs().mean() < share * expected.hidden.abs().mean()


def index(**entries):
    """A change of a pipeline's folder: other entries in its index."""

    def change(copy):
        path = copy / "model_index.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | entries))

    return change


def as_pickle(part, old="diffusion_pytorch_model.safetensors", new="diffusion_pytorch_model.bin"):
    """A change of a pipeline's folder: a part's weights as a pickle."""

    def change(copy):
        (copy / part / old).unlink()
        torch.save({}, copy / part / new)

    return change


def check_refused(name, folder, tmp_path, change, sentence):
    """A changed copy of the folder is refused in one sentence."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    change(copy)
    with pytest.raises(TagxaiError, match=sentence) as caught:
        load_generator(f"{name}:{copy}")
    assert "\n" not in str(caught.value)
