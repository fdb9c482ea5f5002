"""Methods on two families of models: which run, that those keep the contract, and what noise levels mean to them."""

from pathlib import Path

import families
import pytest
import torch

from tagxai.contract.attention import attention_call, edit_attention
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import make_method
from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.daam import DAAM
from tagxai.methods.value_norms import ValueNorms
from tagxai.methods.value_zeroing import ValueZeroing
from tagxai.probing.edits import Gate
from tagxai.testing import check_generator, check_method

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
NOT_ON_LATENT = {"alti", "alti_logit", "attn_lrp", "share_x_alti_logit"}
TOLERANCE = {"atol": 1e-5, "rtol": 1e-4}


@pytest.fixture(scope="module")
def clip(latent):
    return latent.generate("a dog barks", duration=0.4, seed=1)


def test_the_small_model_keeps_the_contract(latent):
    check_generator(latent)


@pytest.mark.slow
def test_the_page_says_which_methods_run_on_which_model():
    written = PAGE.read_text(encoding="utf-8").split(families.START)[1].split(families.END)[0].strip()
    assert written == families.table(families.models())


@pytest.mark.parametrize("name", sorted(set(families.own_methods()) - NOT_ON_LATENT))
def test_a_method_keeps_its_contract_on_latents(latent, name):
    check_method(families.quick(name), latent, prompts=("a dog barks", "thunder"), duration=0.2)


@pytest.mark.parametrize("name", sorted(NOT_ON_LATENT))
def test_a_method_that_follows_the_stream_says_why_it_cannot(latent, clip, name):
    with pytest.raises(UnsupportedError, match="scaled by the noise level"):
        make_method(name).attribute(latent, clip)


def seen_weights(latent, clip):
    """Of each cross-attention, `[levels, heads, frames, tokens]`."""
    seen = []
    with torch.no_grad(), edit_attention(latent.cross_attention(), lambda site, w: seen.append(w[0].clone())):
        latent.forward(clip)
    return torch.stack(seen).unflatten(1, (2, 2))


def test_attention_keeps_the_axis_of_noise_levels(latent, clip):
    weights = seen_weights(latent, clip)
    found = CrossAttention().attribute(latent, clip).scores
    torch.testing.assert_close(found, weights.mean((0, 2)), **TOLERANCE)
    for level in (0, 1):
        (only,) = CrossAttention(levels=str(level)).attribute(latent, clip).scores
        torch.testing.assert_close(only, found[level], **TOLERANCE)
    assert (found[0] - found[1]).abs().max() > 1e-3
    with pytest.raises(TagxaiError, match="no noise level 2"):
        CrossAttention(levels="2").attribute(latent, clip)


def test_words_alone_are_scaled_to_sum_to_one(latent, clip):
    weights = seen_weights(latent, clip)
    words = weights.mean(2)[..., :-1]  # without `</s>`
    expected = (words / words.sum(-1, keepdim=True)).mean(0)
    found = CrossAttention(words_only=True).attribute(latent, clip).scores
    torch.testing.assert_close(found[..., :-1], expected, **TOLERANCE)
    assert (found[..., -1] == 0).all()
    maps = DAAM(words_only=True, levels="0").attribute(latent, clip)
    dog = expected[0, :, 1]
    torch.testing.assert_close(maps.scores[0, :, 1], dog / dog.max(), **TOLERANCE)


def test_value_norms_are_of_each_level_alone(latent, clip):
    """One level's heads, by the sum that their projection writes to the stream."""
    norms = []

    def look(site, weights):
        values = attention_call().values[0].unflatten(0, (2, 2))
        own = weights[0].unflatten(0, (2, 2))
        parts = own[..., None] * values[:, :, None]  # levels, heads, frames, tokens, width
        mixed = parts.permute(0, 2, 3, 1, 4).flatten(3)
        norms.append((mixed @ site.projection.weight.T).norm(dim=-1))

    with torch.no_grad(), edit_attention(latent.cross_attention(), look):
        latent.forward(clip)
    found = ValueNorms().attribute(latent, clip).scores
    torch.testing.assert_close(found, torch.stack(norms).mean(0), atol=1e-4, rtol=1e-3)


def test_value_zeroing_is_of_each_level_alone(latent, clip):
    """In the last layer, the turn of what it writes is that of a pass in which its gate alone is closed."""
    block, site = latent.flow.blocks[-1], latent.cross_attention()[-1]
    left = []
    handle = block.register_forward_hook(lambda module, given, output: left.append(output))
    try:
        with torch.no_grad():
            latent.forward(clip)
            for token in range(len(clip.tokens)):
                gate = torch.ones(clip.positions, len(clip.tokens))
                gate[:, token] = 0
                with edit_attention([site], Gate(gate)):
                    latent.forward(clip)
    finally:
        handle.remove()
    turned = torch.stack([1 - torch.cosine_similarity(left[0], each, dim=-1) for each in left[1:]], dim=-1)
    found = ValueZeroing(layers="-1").attribute(latent, clip).scores
    torch.testing.assert_close(found, turned, atol=1e-5, rtol=1e-3)


def test_audiogenx_compares_the_chosen_levels_alone(latent, clip):
    """The loss of the first epoch starts from one mask: its similarity is the mean over the levels that count."""
    apart = [
        AudioGenX(epochs=1, levels=level, warm_start="value_zeroing", beta=0, alpha=0, smoothness=0).attribute(
            latent, clip
        )
        for level in ("0", "1", None)
    ]
    losses = [found.diagnostics["loss"][0] for found in apart]
    assert losses[2] == pytest.approx((losses[0] + losses[1]) / 2, abs=1e-5)
    assert losses[0] != pytest.approx(losses[1], abs=1e-4)
