"""The hooking layer, and weights alone, against every map kept."""

import pytest
import torch
from attention_maps import own_values, to_frames

from tagxai.contract.attention import AttentionSite, attention_call, edit_attention
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.methods.attention_rollout import AttentionRollout
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.daam import DAAM
from tagxai.probing.choice import choose

TOLERANCE = {"atol": 1e-5, "rtol": 1e-4}


def test_an_edit_sees_the_logits_of_its_weights_and_the_values_that_they_weigh(generator, generation):
    def look(site, weights):
        call = attention_call()
        torch.testing.assert_close(call.logits.softmax(-1), weights)
        if site.kind == "cross":
            torch.testing.assert_close(call.values[0], own_values(generator, site), **TOLERANCE)

    with torch.no_grad(), edit_attention(generator.attention_sites(), look):
        generator.forward(generation)
        generator.generate(generation.prompt, duration=0.1)  # streaming, the conditional row alone
    with pytest.raises(UnsupportedError, match="neither logits nor values"):
        attention_call()


def test_what_a_site_shows_is_what_its_layer_uses(generator, generation):
    """Weights times values through the projection is what the attention module gives."""
    seen = {}

    def look(site, weights):
        seen[site.name] = site.projection((weights @ attention_call().values).transpose(1, 2).flatten(2))

    sites = generator.attention_sites()
    outputs = {}
    handles = [
        site.module.register_forward_hook(lambda *call, name=site.name: outputs.update({name: call[-1][0]}))
        for site in sites
    ]
    with torch.no_grad():
        generator.forward(generation)
        for handle in handles:
            handle.remove()
        with edit_attention(sites, look):
            generator.forward(generation)
    for site in sites:
        torch.testing.assert_close(seen[site.name], outputs[site.name], **TOLERANCE)


def test_a_site_that_shows_only_weights_says_what_it_lacks():
    class Bare(AttentionSite):
        def watched(self):
            raise NotImplementedError

    site = Bare("layer0.cross", 0, "cross", 1, None)
    for look in (lambda: site.projection, lambda: site.block, site.check_plain_residual):
        with pytest.raises(UnsupportedError, match=r"attention site 'layer0.cross' does not"):
            look()


@pytest.mark.parametrize(("numbers", "chosen"), [(None, [0, 1, 2, 3]), ("-1", [3]), ("2, 0,-2", [0, 2])])
def test_layers_and_heads_are_chosen_by_number(numbers, chosen):
    assert choose("layer", numbers, 4) == chosen


@pytest.mark.parametrize(("numbers", "said"), [("4", "no layer 4: the model has layers 0 to 3"), ("x", "not 'x'")])
def test_a_layer_that_does_not_exist_is_one_sentence(numbers, said):
    with pytest.raises(TagxaiError, match=said):
        choose("layer", numbers, 4)


def test_raw_attention_is_the_mean_over_the_chosen_layers_and_heads(generator, generation, maps):
    for layers, heads, expected in (
        (None, None, maps["cross"].mean((0, 1))),
        ("-1", "0", maps["cross"][-1, 0]),
        ("0,1", "1,3", maps["cross"][:2, [1, 3]].mean((0, 1))),
    ):
        scores = CrossAttention(layers=layers, heads=heads).attribute(generator, generation).scores
        torch.testing.assert_close(scores, to_frames(expected, generation), **TOLERANCE)
        torch.testing.assert_close(scores.sum(-1), torch.ones(scores.shape[:2]))


@pytest.mark.parametrize("residual", [0.5, 0.2])
def test_rollout_is_the_product_of_all_layers_mixed_with_the_residual(generator, generation, maps, residual):
    """Over all nodes, steps and tokens: each sublayer is a stochastic matrix, and the rollout is their product."""
    steps, tokens = generation.positions, len(generation.tokens)
    eye, nothing = torch.eye(steps), torch.zeros(tokens, steps)
    product = torch.eye(steps + tokens)
    for own, cross in zip(maps["self"].mean(1), maps["cross"].mean(1), strict=True):
        carry = torch.cat([nothing, torch.eye(tokens)], 1)
        within = torch.cat([residual * eye + (1 - residual) * own, torch.zeros(steps, tokens)], 1)
        across = torch.cat([residual * eye, (1 - residual) * cross], 1)
        product = torch.cat([across, carry]) @ torch.cat([within, carry]) @ product
    torch.testing.assert_close(product.sum(1), torch.ones(steps + tokens))
    result = AttentionRollout(residual=residual).attribute(generator, generation)
    torch.testing.assert_close(result.scores, to_frames(product[:steps, steps:], generation), **TOLERANCE)
    left = residual ** len(maps["self"])
    torch.testing.assert_close(result.scores.sum(-1), torch.full(result.scores.shape[:2], 1 - left))
    assert result.diagnostics["share_of_audio_input"] == pytest.approx(left, abs=1e-5)


def test_daam_maps_are_each_words_attention_relative_to_its_maximum(generator, generation, maps):
    attention = to_frames(maps["cross"].mean((0, 1)), generation).mean(0)
    soft, hard = (DAAM(threshold=t).attribute(generator, generation) for t in (None, 0.8))
    for unit in soft.words():
        word = torch.stack([attention[:, i] for i in unit.tokens]).mean(0)
        for token in unit.tokens:
            torch.testing.assert_close(soft.scores[0, :, token], word / word.max(), **TOLERANCE)
            assert torch.equal(hard.scores[0, :, token] == 1, word >= 0.8 * word.max())
    assert set(hard.scores.unique().tolist()) <= {0.0, 1.0}
