"""AttnLRP against relevance sent back rule by rule, one outcome at a time; that it conserves, and what it refuses."""

from typing import NamedTuple

import pytest
import torch

from tagxai.contract.run import Run
from tagxai.errors import UnsupportedError
from tagxai.methods.attn_lrp import AttnLRP
from tagxai.probing.relevance_flow import token_relevance
from tagxai.testing import check_method

RULES = ("taylor", "held")


@pytest.fixture(scope="module", params=["transformers", "audiocraft"])
def generator(request, generator):
    return generator if request.param == "transformers" else request.getfixturevalue("audiocraft_generator")


@pytest.fixture(scope="module")
def generation(generator):
    return generator.generate("a dog barks while rain falls", duration=0.4, seed=3)


# -- the paper's rules, literally ------------------------------------------------------------------------------------


class Layer(NamedTuple):
    """The parts of a layer, whatever its library calls them; a projection is q, k, v and out."""

    norms: list
    own: list
    cross: list
    up: torch.Tensor
    down: torch.Tensor


def layers_of(generator):
    def parts(attention):
        if hasattr(attention, "in_proj_weight"):
            return [*attention.in_proj_weight.chunk(3), attention.out_proj.weight]
        return [getattr(attention, f"{name}_proj").weight for name in ("q", "k", "v", "out")]

    if hasattr(generator, "lm"):
        for layer in generator.lm.transformer.layers:
            norms = [layer.norm1, layer.norm_cross, layer.norm2]
            matrices = layer.linear1.weight, layer.linear2.weight
            yield Layer(norms, parts(layer.self_attn), parts(layer.cross_attention), *matrices)
    else:
        for layer in generator.model.decoder.model.decoder.layers:
            norms = [layer.self_attn_layer_norm, layer.encoder_attn_layer_norm, layer.final_layer_norm]
            yield Layer(norms, parts(layer.self_attn), parts(layer.encoder_attn), layer.fc1.weight, layer.fc2.weight)


def through_linear(given, weight, made, relevance):
    """The epsilon rule, with epsilon 0: each input's part in each output."""
    return given * ((relevance / made) @ weight.double())


def through_norm(norm, stream, relevance):
    value = stream - stream.mean(-1, keepdim=True)
    scale = (value.square().mean(-1, keepdim=True) + norm.eps).sqrt()
    made = value / scale * norm.weight.double() + norm.bias.double()
    by_stream = relevance / made * norm.weight.double() / scale
    return stream * (by_stream - by_stream.mean(-1, keepdim=True))


def normalised(norm, stream):
    return torch.nn.functional.layer_norm(stream, stream.shape[-1:], norm.weight.double(), norm.bias.double(), norm.eps)


class Attention:
    """One attention in double precision, and relevance sent back through it."""

    def __init__(self, weights, heads, queries, keys, causal):
        self.weights, self.heads, self.given = weights, heads, (queries, keys)
        self.q, self.k, self.v = (
            self.split(each @ weight.double().T)
            for each, weight in zip((queries, keys, keys), weights[:3], strict=True)
        )
        self.logits = self.q @ self.k.mT * self.q.shape[-1] ** -0.5
        self.seen = torch.ones(self.logits.shape[-2:]).tril().bool() if causal else torch.tensor(True)
        self.attention = self.logits.masked_fill(~self.seen, -torch.inf).softmax(-1)
        self.mixed = self.attention @ self.v
        self.output = self.joined(self.mixed) @ weights[3].double().T

    def split(self, states):
        return states.unflatten(-1, (self.heads, -1)).transpose(0, 1)

    def joined(self, by_head):
        return by_head.transpose(0, 1).flatten(1)

    def back(self, relevance, rule):
        """Relevance of the queries' inputs, and of the keys'."""
        queries, keys = self.given
        of_mixed = through_linear(self.joined(self.mixed), self.weights[3], self.output, relevance)
        ratio = self.split(of_mixed) / self.mixed
        share = 0.5 if rule == "taylor" else 1.0
        of_values = share * self.v * (self.attention.mT @ ratio)
        of_keys = through_linear(keys, self.weights[2], self.joined(self.v), self.joined(of_values))
        if rule == "held":
            return torch.zeros_like(queries), of_keys
        of_weights = share * self.attention * (ratio @ self.v.mT)
        of_logits = self.logits * (of_weights - self.attention * of_weights.sum(-1, keepdim=True))
        ratio = torch.where(self.seen, of_logits / self.logits, 0) * self.q.shape[-1] ** -0.5
        of_q, of_k = 0.5 * self.q * (ratio @ self.k), 0.5 * self.k * (ratio.mT @ self.q)
        of_keys = of_keys + through_linear(keys, self.weights[1], self.joined(self.k), self.joined(of_k))
        return through_linear(queries, self.weights[0], self.joined(self.q), self.joined(of_q)), of_keys


def added(stream, update, relevance):
    """A sum's relevance, by the parts of both."""
    whole = stream + update
    return stream / whole * relevance, update / whole * relevance


def literal(generator, generation, outcomes, rule):
    """The relevance of all tokens for each outcome (stream, frame), sent back from it layer by layer."""
    norm, heads = (
        (generator.lm.out_norm, list(generator.lm.linears))
        if hasattr(generator, "lm")
        else (generator.model.decoder.model.decoder.layer_norm, list(generator.model.decoder.lm_heads))
    )
    sites, entered = generator.attention_sites(), []
    hook = sites[0].block.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0][0].double()))
    with torch.no_grad():
        prompt = generator.encode_prompt([generation.prompt])
        hidden = generator.forward(generation, prompt).hidden[0].double()
    hook.remove()
    text, stream, passed = prompt.embeddings[0].double(), entered[0], []
    for layer in layers_of(generator):
        own = Attention(layer.own, sites[0].heads, *[normalised(layer.norms[0], stream)] * 2, True)
        middle = stream + own.output
        cross = Attention(layer.cross, sites[0].heads, normalised(layer.norms[1], middle), text, False)
        late = middle + cross.output
        entering = normalised(layer.norms[2], late)
        inactive = entering @ layer.up.double().T
        active = torch.nn.functional.gelu(inactive)
        passed.append((layer, stream, own, middle, cross, late, entering, inactive, active))
        stream = late + active @ layer.down.double().T
    torch.testing.assert_close(normalised(norm, stream), hidden, atol=1e-4, rtol=1e-3)  # the same model

    found = []
    for codebook, frame in outcomes:
        at, code = frame + generation.timeline.delays[codebook], generation.record["codes"][codebook, frame]
        weight = heads[codebook].weight.double()
        by_norm = (weight[code] - (weight @ hidden[at]).softmax(-1) @ weight) * norm.weight.double()
        scale = (stream[at].var(unbiased=False) + norm.eps).sqrt()
        relevance = torch.zeros_like(stream)
        relevance[at] = stream[at] * (by_norm - by_norm.mean()) / scale
        of_text = torch.zeros_like(text)
        for layer, before, own, middle, cross, late, entering, inactive, active in reversed(passed):
            made = active @ layer.down.double().T
            of_late, of_update = added(late, made, relevance)
            of_active = through_linear(active, layer.down, made, of_update)  # and so of what it was before
            of_entering = through_linear(entering, layer.up, inactive, of_active)
            of_late = of_late + through_norm(layer.norms[2], late, of_entering)
            of_middle, of_update = added(middle, cross.output, of_late)
            of_queries, of_keys = cross.back(of_update, rule)
            of_text += of_keys
            of_middle = of_middle + through_norm(layer.norms[1], middle, of_queries)
            relevance, of_update = added(before, own.output, of_middle)
            relevance = relevance + through_norm(layer.norms[0], before, sum(own.back(of_update, rule)))
        found.append((of_text.sum(-1), relevance.sum()))
    return found


@pytest.mark.parametrize("rule", RULES)
def test_relevance_is_what_the_rules_send_back_from_each_outcome(generator, generation, rule):
    outcomes = [(0, 0), (0, 5), (1, 9), (2, 3), (3, 7)]
    with Run.opened(generator, generation, None) as run:
        found = token_relevance(run, rule)
    for (codebook, frame), (of_text, of_audio) in zip(
        outcomes, literal(generator, generation, outcomes, rule), strict=True
    ):
        torch.testing.assert_close(found.of_tokens[codebook, frame].double(), of_text.detach(), atol=2e-5, rtol=2e-3)
        torch.testing.assert_close(found.beside[codebook, frame, 0].double(), of_audio.detach(), atol=2e-5, rtol=2e-3)
    assert found.of_tokens.abs().max() > 1e-2


# -- conservation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_relevance_of_all_sources_adds_up_to_the_target_of_each_outcome(generator, generation, rule):
    with Run.opened(generator, generation, None) as run:
        found = token_relevance(run, rule)
    whole = found.of_tokens.sum(-1) + found.beside.sum(-1)
    torch.testing.assert_close(whole, found.target, atol=2e-4, rtol=1e-3)
    assert found.target.abs().min() > 1e-4
    assert (found.beside[..., 2].abs().max() > 1e-2) == (rule == "taylor")  # what softmaxes keep


def test_the_target_is_the_logit_less_its_mean_as_the_last_norm_hands_it_on(generator, generation):
    norm, heads = (
        (generator.lm.out_norm, generator.lm.linears)
        if hasattr(generator, "lm")
        else (generator.model.decoder.model.decoder.layer_norm, generator.model.decoder.lm_heads)
    )
    with Run.opened(generator, generation, None) as run:
        found, hidden = token_relevance(run, "taylor"), run.hidden_states()[0]
    for codebook, delay in enumerate(generation.timeline.delays):
        probabilities = heads[codebook](hidden[4 + delay]).softmax(-1)
        logits = heads[codebook](hidden[4 + delay]) - heads[codebook](norm.bias)
        expected = logits[generation.record["codes"][codebook, 4]] - probabilities @ logits
        torch.testing.assert_close(found.target[codebook, 4], expected.detach(), atol=1e-4, rtol=1e-3)


def test_diagnostics_say_where_relevance_went(generator, generation):
    found = AttnLRP().attribute(generator, generation).diagnostics
    shares = [found[f"share_of_{name}"] for name in ("text", "audio", "biases", "softmax")]
    assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert found["conservation_error"] < 1e-3


def test_a_layer_that_does_more_than_its_rules_is_refused(generator, generation):
    projection = generator.attention_sites()[0].projection
    handle = projection.register_forward_hook(lambda module, inputs, output: output * 2 - output.detach() * 0.5)
    try:
        with pytest.raises(UnsupportedError, match="whose layers do something that no rule is for"):
            AttnLRP().attribute(generator, generation)
    finally:
        handle.remove()


def test_a_layer_with_parts_that_have_no_rule_is_refused(generator, generation):
    block = generator.attention_sites()[0].block
    block.add_module("gate", torch.nn.Bilinear(2, 2, 2))
    try:
        with pytest.raises(UnsupportedError, match=f"no rules for {type(block).__name__}, which has a Bilinear"):
            AttnLRP().attribute(generator, generation)
    finally:
        del block.gate


# -- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_it_conforms(generator, rule):
    check_method(AttnLRP(softmax=rule), generator)


@pytest.mark.parametrize("prompt", ["dog", "rain rain rain and rain", "</s>"])
def test_odd_prompts_are_explained(generator, prompt):
    found = AttnLRP().attribute(generator, generator.generate(prompt, duration=0.3, seed=1))
    assert torch.isfinite(found.scores).all()
