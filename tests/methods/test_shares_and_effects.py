"""Removal beside near words, share x effect, ALTI-Logit and their product against slow, literal definitions."""

from itertools import combinations

import pytest
import torch

from tagxai.contract.attention import attention_call, edit_attention
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.methods.alti_logit import ALTILogit
from tagxai.methods.families.joint_removal import effects_beside, near_ones_left_out
from tagxai.methods.occlusion import Occlusion
from tagxai.methods.share_x_alti_logit import ShareXALTILogit
from tagxai.methods.share_x_effect import ShareXEffect
from tagxai.methods.value_zeroing import ValueZeroing
from tagxai.probing.stream_flow import contributions
from tagxai.scoring import ScoreTable
from tagxai.testing import check_method
from tagxai.text import words
from tagxai.text.words import Unit

TOLERANCE = {"atol": 1e-5, "rtol": 1e-4}


@pytest.fixture(scope="module", params=["transformers", "audiocraft"])
def generator(request, generator):
    return generator if request.param == "transformers" else request.getfixturevalue("audiocraft_generator")


@pytest.fixture(scope="module")
def generation(generator):
    return generator.generate("a dog barks while rain falls", duration=0.6, seed=3)


# -- removal beside the absence of a near word -----------------------------------------------------------------------


@pytest.mark.parametrize(("units", "distance"), [(1, 4), (2, 1), (6, 0), (6, 2), (6, 9)])
def test_coalitions_lack_each_unit_each_near_two_and_each_run_of_three_and_none_comes_twice(units, distance):
    found = [frozenset((~row).nonzero()[:, 0].tolist()) for row in near_ones_left_out(units, distance)]
    alone = [frozenset({unit}) for unit in range(units)]
    near = [frozenset(pair) for pair in combinations(range(units), 2) if pair[1] - pair[0] <= distance]
    runs = [frozenset({unit, unit + 1, unit + 2}) for unit in range(units - 2)] if distance >= 2 else []
    assert found == [frozenset(), *alone, *near, *runs]


def table_of(values, units, distance):
    """The table of a game: `values(kept)` for each coalition."""
    masks = near_ones_left_out(units, distance)
    worth = torch.tensor([float(values(set(row.nonzero()[:, 0].tolist()))) for row in masks])
    return ScoreTable(
        tuple(Unit(str(u), u, u + 1, (u,)) for u in range(units)), masks, worth[:, None, None], 0.0, len(masks)
    )


def test_two_words_that_say_the_same_are_each_worth_both():
    """Units 0 and 1: either suffices. Unit 2 is needed. Unit 3 does nothing."""
    table = table_of(lambda kept: 5 * bool(kept & {0, 1}) + 2 * (2 in kept), 4, 1)
    assert effects_beside(table).flatten().tolist() == [5, 5, 2, 0]


def test_three_words_in_a_row_that_say_the_same_are_each_worth_all():
    def worth(kept):
        return 5 * bool(kept & {1, 2, 3})

    assert effects_beside(table_of(worth, 5, 1)).flatten().tolist() == [0, 0, 0, 0, 0]
    assert effects_beside(table_of(worth, 5, 2)).flatten().tolist() == [0, 5, 5, 5, 0]


def test_the_largest_effect_is_of_one_removal_or_of_each_code():
    """Alone, unit 0 costs the first code 3; beside the absence of unit 1, the second code 5."""
    masks = near_ones_left_out(2, 1)
    log_prob = torch.tensor([[0.0, 0.0], [-3.0, 0.0], [0.0, 0.0], [0.0, -5.0]])[:, None]
    table = ScoreTable(tuple(Unit(str(u), u, u + 1, (u,)) for u in range(2)), masks, log_prob, 0.0, len(masks))
    assert effects_beside(table)[0].tolist() == [[0, 5]]
    assert effects_beside(table, of_each_code=True)[0].tolist() == [[3, 5]]


def test_a_word_that_is_too_far_away_is_no_stand_in():
    def worth(kept):
        return 5 * bool(kept & {0, 3})

    assert effects_beside(table_of(worth, 4, 2)).flatten().tolist() == [0, 0, 0, 0]
    assert effects_beside(table_of(worth, 4, 3)).flatten().tolist() == [5, 0, 0, 5]


def deleted(generator, generation, missing):
    """Log-probabilities of the clip under the text without some words, by one plain pass."""
    units = words.words(generation.prompt, generation.spans, generation.tokens)
    text = " ".join(unit.text for i, unit in enumerate(units) if i not in missing and not unit.special)
    with torch.no_grad():
        return generator.forward(generation, generator.encode_prompt([text])).log_prob[0]


def brute_force(generator, generation, distance):
    """Each word's effects beside the absence of near words, by deleting words from the text one text at a time."""
    units = words.words(generation.prompt, generation.spans, generation.tokens)
    whole = deleted(generator, generation, ())
    effects = []
    for i in range(len(units)):
        found = [whole - deleted(generator, generation, {i})]
        for j in range(len(units)):
            if j != i and abs(j - i) <= distance:
                found.append(deleted(generator, generation, {j}) - deleted(generator, generation, {i, j}))
        for start in (i - 2, i - 1, i):
            others = {start, start + 1, start + 2} - {i}
            if distance >= 2 and start >= 0 and start + 2 < len(units):
                found.append(deleted(generator, generation, others) - deleted(generator, generation, {i, *others}))
        effects.append(found)
    return units, effects


@pytest.mark.parametrize("distance", [0, 2, 4])
def test_share_x_effect_is_value_zeroings_share_times_the_effect_of_deletion_by_brute_force(
    generator, generation, distance
):
    units, effects = brute_force(generator, generation, distance)
    zeroing = ValueZeroing().attribute(generator, generation).scores
    scores = ShareXEffect(distance=distance).attribute(generator, generation).scores
    for unit, found in zip(units, effects, strict=True):
        effect = torch.stack(found).amax(0)
        for token in unit.tokens:
            expected = zeroing[..., token] / zeroing.sum(-1) * effect.clamp(min=0)
            torch.testing.assert_close(scores[..., token], expected, **TOLERANCE)
    assert scores.max() > 0


def test_share_x_effect_runs_no_text_twice(generator, generation):
    found = ShareXEffect().attribute(generator, generation)
    count = len([unit for unit in found.words() if not unit.special])
    pairs = sum(1 for i, j in combinations(range(count), 2) if j - i <= 3)
    runs = count - 2
    plain = 1  # value zeroing's own pass
    assert found.cost.forward_passes == plain + 1 + count + pairs + runs


def test_occlusion_beside_near_words_is_the_brute_force_effect(generator, generation):
    units, effects = brute_force(generator, generation, 2)
    scores = Occlusion(operator="delete", beside=2).attribute(generator, generation).scores
    for unit, found in zip(units, effects, strict=True):
        effect = max(found, key=lambda each: float(each.mean()))
        torch.testing.assert_close(scores[..., list(unit.tokens)].sum(-1), effect, **TOLERANCE)


def test_distances_out_of_range_are_one_sentence():
    with pytest.raises(TagxaiError, match="option 'beside' of method 'occlusion' must be at least 1, not 0"):
        Occlusion(beside=0)
    with pytest.raises(TagxaiError, match="option 'distance' of method 'share_x_effect' must be at least 0, not -1"):
        ShareXEffect(distance=-1)
    with pytest.raises(TagxaiError, match=r"option 'root' of method 'share_x_alti_logit' must be at least 1, not 0\.5"):
        ShareXALTILogit(root=0.5)


def test_share_x_effect_needs_attention_whatever_takes_words_away(generator, generation, monkeypatch):
    monkeypatch.setattr(type(generator), "offers", frozenset({"gradients"}))
    with pytest.raises(UnsupportedError, match="needs attention"):
        ShareXEffect().attribute(generator, generation)


# -- ALTI-Logit ------------------------------------------------------------------------------------------------------


def final_norm_and_heads(generator):
    if hasattr(generator, "lm"):
        return generator.lm.out_norm, list(generator.lm.linears)
    return generator.model.decoder.model.decoder.layer_norm, list(generator.model.decoder.lm_heads)


def literal_alti_logit(generator, generation, *, feed_forward):
    """Every part of every layer's update, one by one, times the unembedding through a norm whose scale is held."""
    norm, heads = final_norm_and_heads(generator)
    sites, parts, streams = generator.attention_sites(), [], {}

    def look(site, weights):
        of_heads = site.projection.weight.T.unflatten(0, (site.heads, -1))
        parts.append((site, torch.einsum("hqk,hkd->qkd", weights[0], attention_call().values[0] @ of_heads), weights))
        parts[-1] += (attention_call().values[0] @ of_heads,)

    hooks = [
        block.register_forward_pre_hook(lambda _, inputs, name=name: streams.update({name: inputs[0][0]}))
        for name, block in {site.layer: site.block for site in sites}.items()
    ]
    hooks.append(norm.register_forward_pre_hook(lambda _, inputs: streams.update(final=inputs[0][0])))
    with torch.no_grad(), edit_attention(sites, look):
        hidden = generator.forward(generation).hidden[0]
    for hook in hooks:
        hook.remove()

    # the paper's linear map from the final stream to the log-probability of each outcome
    final, codes = streams["final"], generation.record["codes"]
    scale = (final.var(-1, unbiased=False) + norm.eps).sqrt()
    directions = torch.zeros(generation.streams, generation.frames, final.shape[-1])
    at = torch.zeros(generation.streams, generation.frames, dtype=torch.long)
    for q, delay in enumerate(generation.timeline.delays):
        for f in range(generation.frames):
            t = f + delay
            probabilities = heads[q](hidden[t]).softmax(-1)
            weight = heads[q].weight
            by_hidden = (weight[codes[q, f]] - probabilities @ weight) * norm.weight
            directions[q, f], at[q, f] = (by_hidden - by_hidden.mean()) / scale[t], t

    relevance = torch.zeros(generation.positions, len(generation.tokens))
    scores = torch.zeros(generation.streams, generation.frames, len(generation.tokens))
    for site, part, weights, transformed in parts:
        if site.kind == "self":
            stream = streams[site.layer]
        bias = site.projection.bias
        output = stream + part.sum(1) + (0 if bias is None else bias)
        shares = relevance if site.kind == "self" else torch.eye(len(generation.tokens))
        for q in range(generation.streams):
            for f in range(generation.frames):
                scores[q, f] += (part[at[q, f]] @ directions[q, f]) @ shares
        own = site.kind == "self"
        of_keys, of_stream = contributions(weights[0], transformed, stream, output, own=own)
        relevance = of_stream[:, None] * relevance + of_keys @ shares
        stream = output
        if feed_forward and site.kind == "cross":
            written = streams.get(site.layer + 1, final) - output
            scores += (directions * written[at]).sum(-1, keepdim=True) * relevance[at]
    return scores


@pytest.mark.parametrize("feed_forward", [False, True])
def test_alti_logit_is_the_papers_sum_over_layers_and_keys(generator, generation, feed_forward):
    expected = literal_alti_logit(generator, generation, feed_forward=feed_forward)
    scores = ALTILogit(feed_forward=feed_forward).attribute(generator, generation).scores
    torch.testing.assert_close(scores, expected.detach(), atol=1e-5, rtol=1e-3)
    assert scores.abs().max() > 1e-3


def test_a_norm_that_does_not_centre_is_held_at_its_scale_too(generator, generation, monkeypatch):
    """By hand for a norm without a mean: h = weight x / rms(x), so the map is weight / rms."""
    from tagxai.contract.run import Run
    from tagxai.probing.logit_flow import last_stream

    norm, heads = final_norm_and_heads(generator)
    monkeypatch.setattr(norm, "forward", lambda x: norm.weight * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt())
    with Run.opened(generator, generation, None) as run:
        stream, directions = last_stream(run, generator.attention_sites()[-1].block)
        hidden = run.hidden_states()[0]
    rms = (stream[0].square().mean(-1) + 1e-5).sqrt()
    for q, delay in enumerate(generation.timeline.delays):
        code, t = generation.record["codes"][q, 2], 2 + delay
        weight = heads[q].weight
        expected = (weight[code] - heads[q](hidden[t]).softmax(-1) @ weight) * norm.weight / rms[t]
        torch.testing.assert_close(directions[q, t], expected.detach(), **TOLERANCE)


@pytest.mark.parametrize(("feed_forward", "root"), [(False, 2.0), (True, 3.0)])
def test_the_product_is_the_share_times_the_root_of_what_a_token_adds(generator, generation, feed_forward, root):
    alti_logit = ALTILogit(feed_forward=feed_forward)
    added, zeroing = (method.attribute(generator, generation).scores for method in (alti_logit, ValueZeroing()))
    scores = ShareXALTILogit(feed_forward=feed_forward, root=root).attribute(generator, generation).scores
    expected = zeroing / zeroing.sum(-1, keepdim=True) * added.clamp(min=0) ** (1 / root)
    torch.testing.assert_close(scores, expected, **TOLERANCE)
    assert (added < 0).any()


@pytest.mark.parametrize("method", [ShareXEffect(), ALTILogit(), ShareXALTILogit(), Occlusion(beside=2)], ids=str)
def test_they_conform(generator, method):
    check_method(method, generator)


@pytest.mark.parametrize("prompt", ["dog", "rain rain rain and rain", "собака лает 狗在叫", "</s>"])
@pytest.mark.parametrize("method", [ShareXEffect(), ALTILogit(), ShareXALTILogit()], ids=lambda m: m.name)
def test_odd_prompts_are_explained(generator, method, prompt):
    found = method.attribute(generator, generator.generate(prompt, duration=0.3, seed=1))
    assert found.scores.shape[1:] == (found.generation.frames, len(found.generation.tokens))
    assert torch.isfinite(found.scores).all()
