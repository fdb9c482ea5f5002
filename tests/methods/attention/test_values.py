"""Methods of values: norms, ALTI, value zeroing."""

import pytest
import torch
from attention_maps import own_values, to_frames

from tagxai.contract.attention import attention_call, edit_attention
from tagxai.errors import UnsupportedError
from tagxai.methods.alti import ALTI
from tagxai.methods.value_norms import ValueNorms
from tagxai.methods.value_zeroing import ValueZeroing
from tagxai.probing.edits import Gate
from tagxai.probing.stream_flow import Flow, contributions
from tagxai.testing import random_audiocraft_checkpoint

TOLERANCE = {"atol": 1e-5, "rtol": 1e-4}


def test_value_norms_are_those_of_what_each_token_adds(generator, generation, maps):
    scores = ValueNorms().attribute(generator, generation).scores
    expected = torch.zeros(generation.positions, len(generation.tokens))
    for site, weights in zip(generator.cross_attention(), maps["cross"], strict=True):
        values, columns = own_values(generator, site), site.projection.weight.chunk(site.heads, dim=1)
        for token in range(len(generation.tokens)):
            added = sum(weights[h, :, token, None] * (columns[h] @ values[h, token]) for h in range(site.heads))
            expected[:, token] += added.norm(dim=-1) / len(maps["cross"])
    torch.testing.assert_close(scores, to_frames(expected, generation), **TOLERANCE)


def test_alti_contributions_are_the_papers_one_by_one():
    random = torch.Generator().manual_seed(0)
    heads, queries, keys, dim = 2, 3, 3, 5
    weights = torch.rand(heads, queries, keys, generator=random)
    transformed = torch.randn(heads, keys, dim, generator=random)
    stream = torch.randn(queries, dim, generator=random)
    output = stream + torch.einsum("hqk,hkd->qd", weights, transformed)
    for own in (True, False):
        of_keys, of_stream = contributions(weights, transformed, stream, output, own=own)
        for t in range(queries):
            parts = [sum(weights[h, t, j] * transformed[h, j] for h in range(heads)) for j in range(keys)]
            parts = [part + stream[t] if own and j == t else part for j, part in enumerate(parts)]
            parts.append(torch.zeros(dim) if own else stream[t])
            torch.testing.assert_close(sum(parts), output[t])
            near = [max(0.0, (output[t].norm(p=1) - (output[t] - part).norm(p=1)).item()) for part in parts]
            found = torch.cat([of_keys[t], of_stream[t, None]])
            torch.testing.assert_close(found, torch.tensor(near) / sum(near))


def test_alti_follows_the_models_own_residual_stream(generator, generation):
    """After a layer's cross-attention the stream is what the layer's feed-forward norm reads."""
    norms = {
        site.layer: getattr(site.block, "final_layer_norm", None) or site.block.norm2
        for site in generator.cross_attention()
    }
    read = {}
    handles = [
        norm.register_forward_pre_hook(lambda _, inputs, layer=layer: read.update({layer: inputs[0][0]}))
        for layer, norm in norms.items()
    ]
    followed = {}

    class Watched(Flow):
        def __call__(self, site, weights):
            super().__call__(site, weights)
            followed[site.layer] = self.stream

    flow = Watched(torch.zeros(generation.positions, len(generation.tokens)))
    handles += [site.block.register_forward_pre_hook(flow.enter_layer) for site in generator.cross_attention()]
    with torch.no_grad(), edit_attention(generator.attention_sites(), flow):
        generator.forward(generation)
    for handle in handles:
        handle.remove()
    for layer, stream in read.items():
        torch.testing.assert_close(followed[layer], stream, **TOLERANCE)


def test_alti_is_the_product_of_its_layers_contributions(generator, generation):
    """Over all nodes, as rollout: each sublayer's contributions are a stochastic matrix."""
    steps, tokens = generation.positions, len(generation.tokens)
    product, carry = torch.eye(steps + tokens), torch.cat([torch.zeros(tokens, steps), torch.eye(tokens)], 1)

    class Literal(Flow):
        def __call__(self, site, weights):
            nonlocal product
            heads = site.projection.weight.T.unflatten(0, (site.heads, -1))
            transformed = attention_call().values[0] @ heads
            output = self.stream + torch.einsum("hqk,hkd->qd", weights[0], transformed)
            output = output if site.projection.bias is None else output + site.projection.bias
            own = site.kind == "self"
            of_keys, of_stream = contributions(weights[0], transformed, self.stream, output, own=own)
            over_steps = of_stream.diag() + (of_keys if own else 0)
            layer = torch.cat([over_steps, torch.zeros(steps, tokens) if own else of_keys], 1)
            product = torch.cat([layer, carry]) @ product
            self.stream = output

    literal = Literal(torch.zeros(steps, tokens))
    handles = [site.block.register_forward_pre_hook(literal.enter_layer) for site in generator.cross_attention()]
    with torch.no_grad(), edit_attention(generator.attention_sites(), literal):
        generator.forward(generation)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(product.sum(1), torch.ones(steps + tokens))
    result = ALTI().attribute(generator, generation)
    torch.testing.assert_close(result.scores, to_frames(product[:steps, steps:], generation), **TOLERANCE)
    left = 1 - product[:steps, steps:].sum(1).mean()
    assert result.diagnostics["share_of_audio_input"] == pytest.approx(left.item(), abs=1e-5)


@pytest.mark.parametrize("settings", [{"norm_first": False}, {"layer_scale": 0.5}])
def test_alti_refuses_layers_that_do_not_simply_add(tmp_path, settings):
    pytest.importorskip("audiocraft")
    from tagxai.generators.audiocraft.model import AudioGenGenerator

    folder = random_audiocraft_checkpoint(tmp_path, changes={"transformer_lm": settings})
    generator = AudioGenGenerator.load(str(folder))
    with pytest.raises(UnsupportedError, match="expected layers that add it as it is"):
        ALTI().attribute(generator, generator.generate("rain", duration=0.2))


def test_value_zeroing_is_the_turn_of_a_layers_output_without_one_value(generator, generation):
    """In one layer at a time, by a whole pass for each token, with a hook on that layer's output."""
    expected = torch.zeros(generation.positions, len(generation.tokens))
    sites = generator.cross_attention()
    for site in sites:
        seen = []
        handle = site.block.register_forward_hook(lambda *call, seen=seen: seen.append(call[-1][0]))
        with torch.no_grad():
            generator.forward(generation)
            for token in range(len(generation.tokens)):
                gate = torch.ones(generation.positions, len(generation.tokens))
                gate[:, token] = 0
                with edit_attention([site], Gate(gate)):
                    generator.forward(generation)
        handle.remove()
        plain, *zeroed = seen
        for token, output in enumerate(zeroed):
            expected[:, token] += (1 - torch.cosine_similarity(output, plain, dim=-1)) / len(sites)
    scores = ValueZeroing().attribute(generator, generation).scores
    torch.testing.assert_close(scores, to_frames(expected, generation), **TOLERANCE)
