"""Against slow, literal definitions; and sampling."""

from dataclasses import replace

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.generators.audiocraft.model import AudioGenGenerator
from tagxai.probing.edits import Capture, Gate
from tagxai.probing.forward_mode import token_derivatives

pytest.importorskip("audiocraft")

PROMPT = "a dog barks while rain falls"
PROMPTS = [PROMPT, "rain", "the sound of a siren followed by thunder and birds"]
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.mark.parametrize("branch", ["conditional", "unconditional", "guided"])
def test_log_probabilities_are_those_of_a_slow_step_by_step_pass(generator, branch):
    """For each code, run audiocraft's `forward` over the columns before its step, and read one softmax."""
    clip = generator.generate(PROMPT, duration=0.24, seed=4)
    scored = generator.forward(clip, branch=branch).log_prob[0]
    embeddings = generator.encode_prompt([PROMPT]).embeddings
    columns = torch.full((1, generator.codebooks, clip.positions + 1), generator.pad)
    for q, delay in enumerate(clip.timeline.delays):
        columns[0, q, 1 + delay : 1 + delay + clip.frames] = clip.record["codes"][q]

    def logits(step, q, text):
        condition = {"description": (text, torch.ones(text.shape[:2]))}
        return generator.lm(columns[..., : step + 1], conditions=[], condition_tensors=condition)[0, q, -1]

    with torch.no_grad():
        for q, delay in enumerate(clip.timeline.delays):
            for frame in range(clip.frames):
                conditional = logits(frame + delay, q, embeddings)
                unconditional = logits(frame + delay, q, torch.zeros_like(embeddings))
                mixed = unconditional + 3.0 * (conditional - unconditional)
                chosen = {"conditional": conditional, "unconditional": unconditional, "guided": mixed}[branch]
                expected = chosen.log_softmax(-1)[clip.record["codes"][q, frame]]
                torch.testing.assert_close(scored[q, frame], expected, atol=1e-4, rtol=1e-4)


def test_shown_weights_are_the_softmax_of_the_modules_own_projections(generator, generation):
    site, seen = generator.cross_attention()[0], {}
    watcher = site.module.register_forward_pre_hook(lambda module, inputs: seen.update(query=inputs[0], key=inputs[1]))
    with torch.no_grad(), edit_attention([site], capture := Capture(keep_heads=True)):
        generator.forward(generation)
    watcher.remove()
    to_q, to_k, _ = site.module.in_proj_weight.chunk(3)
    width = to_q.shape[0] // site.heads
    for head in range(site.heads):
        rows = slice(head * width, (head + 1) * width)
        q, k = seen["query"][0] @ to_q[rows].T, seen["key"][0] @ to_k[rows].T
        torch.testing.assert_close(capture.weights()[0, head], (q @ k.T / width**0.5).softmax(-1), **TOLERANCE)


def test_nothing_depends_on_padding_or_batch_mates(generator, generation):
    together = generator.encode_prompt(PROMPTS)
    batch = generator.forward(generation, together)
    for row, prompt in enumerate(PROMPTS):
        alone = generator.encode_prompt([prompt])
        length = alone.embeddings.shape[1]
        torch.testing.assert_close(together.embeddings[row : row + 1, :length], alone.embeddings, **TOLERANCE)
        assert together.tokens[row] == alone.tokens[0]
        assert together.spans[row] == alone.spans[0]
        single = generator.forward(generation, alone)
        torch.testing.assert_close(batch.log_prob[row], single.log_prob[0], **TOLERANCE)
        torch.testing.assert_close(batch.hidden[row], single.hidden[0], **TOLERANCE)
        isolated = [generator.isolated_states(generation, given) for given in (together, alone)]
        torch.testing.assert_close(isolated[0][row], isolated[1][0], **TOLERANCE)


def test_edits_in_a_padded_batch_see_no_weight_on_padding(generator, generation):
    together = generator.encode_prompt(PROMPTS)
    gate = torch.rand(generation.positions, together.mask.shape[1], generator=torch.Generator().manual_seed(0))
    sites, capture = generator.cross_attention(), Capture()
    with edit_attention(sites, capture), edit_attention(sites, Gate(gate)):
        gated = generator.forward(generation, together).hidden
    weights = capture.weights().transpose(1, 2)
    assert (weights[~together.mask] == 0).all()
    assert (weights[together.mask] > 0).all()
    alone = generator.encode_prompt([PROMPTS[1]])
    with edit_attention(generator.cross_attention(), Gate(gate[:, : alone.mask.shape[1]])):
        torch.testing.assert_close(gated[1], generator.forward(generation, alone).hidden[0], **TOLERANCE)


@pytest.mark.parametrize("branch", ["conditional", "guided"])
def test_forward_mode_derivatives_are_those_of_reverse_mode(generator, generation, branch):
    conditioning = generator.encode_prompt([PROMPT])
    forward = token_derivatives(generator, generation, conditioning, branch=branch)
    scale = torch.ones(1, len(generation.tokens), 1, requires_grad=True)
    scaled = replace(conditioning, embeddings=scale * conditioning.embeddings)
    log_prob = generator.forward(generation, scaled, branch=branch).log_prob[0]
    for q, frame in ((0, 0), (1, 7), (3, 14)):
        (reverse,) = torch.autograd.grad(log_prob[q, frame], scale, retain_graph=True)
        torch.testing.assert_close(forward[q, frame], reverse[0, :, 0], atol=1e-4, rtol=1e-4)


def test_gradients_reach_the_gate_and_the_embeddings_through_a_hook(generator, generation):
    """With an edit installed the module runs on detached inputs; no gradient may be lost by it."""
    conditioning = generator.encode_prompt([PROMPT])
    embeddings = conditioning.embeddings.clone().requires_grad_()
    gradients = []
    for sites in ([], generator.attention_sites()):
        with edit_attention(sites, lambda site, weights: None):
            output = generator.forward(generation, replace(conditioning, embeddings=embeddings)).log_prob.sum()
        gradients.append(torch.autograd.grad(output, embeddings)[0])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)
    gate = torch.ones(generation.positions, len(generation.tokens), requires_grad=True)
    with edit_attention(generator.cross_attention(), Gate(gate)):
        generator.forward(generation).log_prob.sum().backward()
    assert (gate.grad.abs().sum(0) > 0).all()


def test_isolated_steps_are_sequences_of_length_one(generator, generation):
    isolated = generator.isolated_states(generation, generator.encode_prompt([PROMPT]))[0]
    column = generation.record["codes"][
        None, :, :1
    ].clone()  # step 1 reads frame 0 of codebook 0, and padding of the others
    column[:, 1:] = generator.pad
    condition = {"description": (generator.encode_prompt([PROMPT]).embeddings, None)}
    alone = generator.lm(column, conditions=[], condition_tensors=condition)[0, 2, 0]
    torch.testing.assert_close(generator.lm.linears[2](isolated[1]), alone, **TOLERANCE)


def test_the_same_seed_repeats_bit_for_bit_and_another_does_not(generator):
    first, again, other = (generator.generate(PROMPT, duration=0.6, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.record["codes"], again.record["codes"])
    assert torch.equal(first.waveform, again.waveform)
    assert not torch.equal(first.record["codes"], other.record["codes"])


def test_an_unconditional_clip_ignores_the_prompt_and_a_mask_of_zeros_makes_the_same(generator):
    first, other = (generator.generate(text, duration=0.6, seed=1, branch="unconditional") for text in PROMPTS[:2])
    assert torch.equal(first.record["codes"], other.record["codes"])
    zeros = torch.zeros(first.positions, len(first.tokens))
    masked = generator.generate(PROMPT, duration=0.6, seed=1, branch="conditional", mask=zeros)
    assert torch.equal(masked.record["codes"], first.record["codes"])
    assert not torch.equal(
        generator.generate(PROMPT, duration=0.6, seed=1, branch="conditional").record["codes"], first.record["codes"]
    )


def test_token_spans_point_at_the_prompts_characters(generator):
    clip = generator.generate("  A dog   barks", duration=0.1)
    for token, (start, end) in zip(clip.tokens, clip.spans, strict=True):
        text = clip.prompt[start:end]
        assert text == text.strip()
        assert token in ("</s>", "<unk>") or token.lstrip("▁") == text
    assert clip.tokens[-1] == "</s>"


def test_bfloat16_differs_from_float32_by_its_rounding_alone(audiocraft_model, generator, generation):
    lower = AudioGenGenerator.load(str(audiocraft_model), dtype="bfloat16")
    assert lower.lm.transformer.layers[0].linear1.weight.dtype == torch.bfloat16
    assert len(lower.generate(PROMPT, duration=0.2).record["codes"]) == 4
    with edit_attention(lower.cross_attention(), lambda site, weights: None):
        hooked = lower.forward(generation)
    expected = generator.forward(generation).hidden
    for output in (lower.forward(generation), hooked):
        assert torch.cosine_similarity(output.hidden.float(), expected, dim=-1).min() > 0.999
