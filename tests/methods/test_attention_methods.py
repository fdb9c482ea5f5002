"""Attention methods against slow, literal definitions that keep every map, on a random model of each backend."""

import weakref
from dataclasses import replace

import pytest
import torch

from tagxai.contract.attention import AttentionSite, attention_call, edit_attention
from tagxai.contract.run import Run
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.methods.alti import ALTI
from tagxai.methods.atman import AtMan
from tagxai.methods.attention_grad_cam import AttentionGradCAM
from tagxai.methods.attention_rollout import AttentionRollout
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.daam import DAAM
from tagxai.methods.generic_attention import GenericAttention, normalised
from tagxai.methods.gradient_x_attention import GradientXAttention
from tagxai.methods.value_norms import ValueNorms
from tagxai.methods.value_zeroing import ValueZeroing
from tagxai.probing import attention_gradients
from tagxai.probing.attention_gradients import mixed_gradients
from tagxai.probing.choice import choose
from tagxai.probing.edits import Capture, Gate
from tagxai.probing.stream_flow import Flow, contributions
from tagxai.probing.windows import windows
from tagxai.registering.registry import registry
from tagxai.testing import check_method, random_audiocraft_checkpoint

TOLERANCE = {"atol": 1e-5, "rtol": 1e-4}

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


@pytest.fixture(scope="module", params=["transformers", "audiocraft"])
def generator(request, generator):
    return generator if request.param == "transformers" else request.getfixturevalue("audiocraft_generator")


@pytest.fixture(scope="module")
def generation(generator):
    return generator.generate("a dog barks while rain falls", duration=0.6, seed=3)


def to_frames(steps, generation):
    """[steps, tokens] as the scores of a method."""
    return generation.timeline.to_frames(steps)


@pytest.fixture(scope="module")
def maps(generator, generation):
    """All weights: self-attention [layers, heads, steps, steps] and cross-attention [layers, heads, steps, tokens]."""
    found = {}
    for kind in ("self", "cross"):
        capture = Capture(keep_layers=True, keep_heads=True)
        with torch.no_grad(), edit_attention([s for s in generator.attention_sites() if s.kind == kind], capture):
            generator.hidden_states(generation)
        found[kind] = capture.weights()[0]
    return found


def gradients_of(generator, generation, frames):
    """The same two stacks for the gradients of a window's log-probability, by a pass that keeps every map."""
    moved = {}

    def move(site, weights):
        moved[site.kind, site.layer] = torch.zeros_like(weights).requires_grad_()
        return weights + moved[site.kind, site.layer]

    with edit_attention(generator.attention_sites(), move):
        target = generator.forward(generation).log_prob[0, :, frames.start : frames.stop].sum()
    found = dict(zip(moved, torch.autograd.grad(target, list(moved.values())), strict=True))
    layers = range(len(found) // 2)
    return {kind: torch.stack([found[kind, layer][0] for layer in layers]) for kind in ("self", "cross")}


def own_values(generator, site):
    """A cross-attention site's values [heads, tokens, width], from the module's own weights."""
    embeddings = generator.encode_prompt(["a dog barks while rain falls"]).embeddings[0]
    module = site.module
    weight = module.v_proj.weight if hasattr(module, "v_proj") else module.in_proj_weight.chunk(3)[2]
    return (embeddings @ weight.T).unflatten(-1, (site.heads, -1)).transpose(0, 1)


# -- the hooking layer -----------------------------------------------------------------------------------------------


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


# -- weights alone ---------------------------------------------------------------------------------------------------


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


# -- gradients -------------------------------------------------------------------------------------------------------


def test_windows_cover_the_clip_without_overlap(generation):
    for seconds in (0.04, 0.25, 0.5, 100.0, None):
        covered = [frame for window in windows(generation, seconds) for frame in window]
        assert covered == list(range(generation.frames))
    assert {len(window) for window in windows(generation, 1 / generation.frame_rate)} == {1}
    with pytest.raises(TagxaiError, match="'resolution' must be a number of seconds above 0"):
        windows(generation, 0.0)


def test_gradients_from_mixed_values_are_those_of_every_weight(generator, generation, maps):
    frames = range(4, 9)
    literal = gradients_of(generator, generation, frames)
    seen = []

    def look(window, site, weights, gradients):
        seen.append(site.name)
        torch.testing.assert_close(weights, maps[site.kind][site.layer], **TOLERANCE)
        torch.testing.assert_close(gradients, literal[site.kind][site.layer], **TOLERANCE)

    sites = generator.attention_sites()
    with Run.opened(generator, generation, None) as run:
        attention_gradients.each_weight_with_gradient(run, sites, [frames], look)
    assert seen == [site.name for site in sites], "sites came in another order than the model's"


@pytest.mark.parametrize("causal", [False, True])
def test_generic_attention_is_the_papers_rules_with_every_map_kept(generator, generation, maps, causal):
    result = GenericAttention(resolution=0.3, causal=causal).attribute(generator, generation)
    for frames in windows(generation, 0.3):
        gradients = gradients_of(generator, generation, frames)
        kept = {kind: (gradients[kind] * maps[kind]).clamp(min=0).mean(1) for kind in maps}
        steps = generation.positions
        of_steps, of_tokens = torch.eye(steps), torch.zeros(steps, len(generation.tokens))
        for own, cross in zip(kept["self"], kept["cross"], strict=True):
            of_steps, of_tokens = of_steps + own @ of_steps, of_tokens + own @ of_tokens
            mixing = torch.zeros(steps, steps)
            for row in range(steps):  # equations 8 and 9, row by row
                beyond = of_steps[row] - torch.eye(steps)[row]
                mixing[row] = torch.eye(steps)[row] + (beyond / beyond.sum() if beyond.sum() > 0 else 0)
            of_tokens = of_tokens + (mixing if causal else mixing.T) @ cross
        expected = of_tokens[frames.start : frames.stop + max(generation.timeline.delays)].mean(0)
        for frame in frames:
            torch.testing.assert_close(result.scores[0, frame], expected, atol=1e-6, rtol=1e-3)
    assert result.scores.abs().max() > 0


def test_what_is_beyond_the_identity_is_normalised_to_rows_of_one():
    relevance = torch.eye(3) + torch.tensor([[0.0, 0, 0], [1, 3, 0], [0, 0, 2]])
    torch.testing.assert_close(
        normalised(relevance), torch.eye(3) + torch.tensor([[0, 0, 0], [0.25, 0.75, 0], [0, 0, 1]])
    )


def test_causal_generic_attention_of_the_first_window_knows_nothing_of_later_codes(generator, generation):
    """A clip whose later codes are others has the same first window: nothing leaks back from what comes after."""
    codes = generation.record["codes"].clone()
    codes[:, 8:] = codes[:, 8:].roll(1, 1)
    other = replace(generation, record={"codes": codes})
    method = GenericAttention(resolution=0.2, causal=True)
    first, second = (method.attribute(generator, clip).scores[0, 0] for clip in (generation, other))
    torch.testing.assert_close(first, second, **TOLERANCE)


def test_gradient_x_attention_is_the_derivative_of_a_gate(generator, generation):
    for frames in windows(generation, 0.2):
        gate = torch.ones(generation.positions, len(generation.tokens), requires_grad=True)
        with edit_attention(generator.cross_attention(), Gate(gate)):
            target = generator.forward(generation).log_prob[0, :, frames.start : frames.stop].sum()
        (expected,) = torch.autograd.grad(target, gate)
        scores = GradientXAttention(resolution=0.2).attribute(generator, generation).scores[0]
        torch.testing.assert_close(scores[frames.start : frames.stop].sum(0), expected.sum(0), **TOLERANCE)


def test_positive_gradient_x_attention_and_its_layers_are_sums_over_the_kept_maps(generator, generation, maps):
    gradients = gradients_of(generator, generation, range(generation.frames))["cross"]
    result = GradientXAttention(resolution=None, positive=True, layers="1").attribute(generator, generation)
    expected = (maps["cross"] * gradients.clamp(min=0))[1].sum((0, 1))
    torch.testing.assert_close(result.scores[0].sum(0), expected, **TOLERANCE)


def test_attention_grad_cam_weights_heads_by_their_mean_gradient(generator, generation, maps):
    result = AttentionGradCAM(resolution=0.3).attribute(generator, generation)
    for frames in windows(generation, 0.3):
        gradients = gradients_of(generator, generation, frames)["cross"][-1]
        cam = sum(g.mean() * a for g, a in zip(gradients, maps["cross"][-1], strict=True)) / len(gradients)
        expected = to_frames(cam.clamp(min=0), generation)[:, frames.start : frames.stop]
        torch.testing.assert_close(result.scores[:, frames.start : frames.stop], expected, atol=1e-7, rtol=1e-3)


def test_windows_do_not_depend_on_their_batch(generator, generation, monkeypatch):
    method = GenericAttention(resolution=0.2)
    together = method.attribute(generator, generation).scores
    monkeypatch.setattr(attention_gradients, "ROWS_AT_ONCE", 1)
    torch.testing.assert_close(method.attribute(generator, generation).scores, together, **TOLERANCE)


# -- values ----------------------------------------------------------------------------------------------------------


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


# -- AtMan -----------------------------------------------------------------------------------------------------------


def losses_with_keys_scaled(generator, generation, factors):
    """A logit is a query times a key, so a key scaled in every layer is a logit scaled."""
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        if hasattr(generator, "lm"):
            from tagxai.generators.audiocraft import attention as audiocraft_attention

            def project(module, *inputs, plain=audiocraft_attention._project):
                q, k, v = plain(module, *inputs)
                return [q, k * factors[:, None] if module.cross_attention else k, v]

            patch.setattr(audiocraft_attention, "_project", project)
        else:
            for site in generator.cross_attention():
                project = site.module.k_proj.forward
                patch.setattr(site.module.k_proj, "forward", lambda x, p=project: p(x) * factors[:, None])
        with edit_attention(generator.cross_attention(), lambda site, weights: None):
            return -generator.forward(generation).log_prob[0]


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_atman_is_the_rise_of_the_loss_with_scaled_logits(generator, generation, threshold):
    scores = AtMan(threshold=threshold).attribute(generator, generation).scores
    plain = losses_with_keys_scaled(generator, generation, torch.ones(len(generation.tokens)))
    embeddings = generator.encode_prompt([generation.prompt]).embeddings[0]
    joined = 0
    for token in range(len(generation.tokens)):
        factors = torch.ones(len(generation.tokens))
        for other in range(len(generation.tokens)):
            similarity = torch.cosine_similarity(embeddings[token], embeddings[other], dim=0).item()
            if other == token:
                factors[other] = 1 - 0.9
            elif threshold is not None and similarity >= threshold:
                factors[other], joined = 1 - 0.9 * similarity, joined + 1
        rise = losses_with_keys_scaled(generator, generation, factors) - plain
        torch.testing.assert_close(scores[..., token], rise, atol=1e-4, rtol=1e-3)
    assert (joined > 0) == (threshold is not None)


def test_suppression_works_on_what_a_gate_has_left(generator, generation):
    """With all but one token gated away, suppressing the others changes nothing."""
    gate = torch.zeros(generation.positions, len(generation.tokens))
    gate[:, 2] = 1
    with edit_attention(generator.cross_attention(), Gate(gate)):
        scores = AtMan().attribute(generator, generation).scores
    assert scores.abs().max() < 1e-4


@pytest.mark.parametrize(
    "make",
    [
        lambda: AtMan(suppression=1.5),
        lambda: AtMan(threshold=2.0),
        lambda: AttentionRollout(residual=1.0),
        lambda: DAAM(threshold=0.0),
    ],
)
def test_settings_out_of_range_are_one_sentence(make):
    with pytest.raises(TagxaiError, match=r"option '\w+' of method '\w+' must be"):
        make()


# -- memory ----------------------------------------------------------------------------------------------------------


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


# -- odd prompts, and the contract -----------------------------------------------------------------------------------

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
