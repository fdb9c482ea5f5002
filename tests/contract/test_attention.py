"""The invariants of the hooking layer, on a random model of each backend: what a gate means, nothing left behind."""

import pytest
import torch

from tagxai.contract.attention import at_position, edit_attention, position, scale_rows, scale_values
from tagxai.generators.audiocraft import attention as audiocraft_attention
from tagxai.generators.transformers import attention as transformers_attention
from tagxai.probing.edits import Capture, Gate

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(scope="module", params=["transformers", "audiocraft"])
def generator(request, generator):
    return generator if request.param == "transformers" else request.getfixturevalue("audiocraft_generator")


@pytest.fixture(scope="module")
def generation(generator):
    return generator.generate("a dog barks while rain falls", duration=1.0, seed=3)


def final_norm(generator):
    return generator.lm.out_norm if hasattr(generator, "lm") else generator.model.decoder.model.decoder.layer_norm


def hidden(generator, generation, **options):
    with torch.no_grad():
        return generator.hidden_states(generation, **options)


def random_gate(generation, rows=1, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.rand(rows, generation.positions, len(generation.tokens), generator=random)


def test_a_gate_of_ones_is_the_plain_pass(generator, generation):
    with edit_attention(generator.cross_attention(), Gate(torch.ones_like(random_gate(generation)))):
        gated = hidden(generator, generation)
    torch.testing.assert_close(gated, hidden(generator, generation), **TOLERANCE)


def test_a_gate_of_zeros_is_the_unconditional_branch(generator, generation):
    with edit_attention(generator.cross_attention(), Gate(torch.zeros_like(random_gate(generation)))):
        gated = hidden(generator, generation)
    torch.testing.assert_close(gated, hidden(generator, generation, branch="unconditional"), **TOLERANCE)
    assert not torch.allclose(gated, hidden(generator, generation), **TOLERANCE)


def test_masked_teacher_forced_states_equal_masked_streaming_states(generator, generation):
    """The states that streaming generation computes step by step under a mask are those of one causal masked pass."""
    mask = random_gate(generation)[0]
    streamed = []
    watcher = final_norm(generator).register_forward_hook(lambda *call: streamed.append(call[-1]))
    try:
        again = generator.generate(generation.prompt, duration=generation.duration, seed=5, mask=mask)
    finally:
        watcher.remove()
    conditional = torch.cat([states[:1] for states in streamed], dim=1)
    unconditional = torch.cat([states[1:2] for states in streamed], dim=1)  # rows after these are idle
    with edit_attention(generator.cross_attention(), Gate(mask)):
        torch.testing.assert_close(hidden(generator, again), conditional, **TOLERANCE)
    torch.testing.assert_close(hidden(generator, again, branch="unconditional"), unconditional, **TOLERANCE)


@pytest.mark.parametrize("kind", ["cross", "self"])
def test_weights_captured_while_streaming_equal_those_of_one_pass(generator, generation, kind):
    sites = [site for site in generator.attention_sites() if site.kind == kind]
    streaming, one_pass = Capture(keep_layers=True, keep_heads=True), Capture(keep_layers=True, keep_heads=True)
    with edit_attention(sites, streaming):
        again = generator.generate(generation.prompt, duration=generation.duration, seed=7)
    with edit_attention(sites, one_pass):
        hidden(generator, again)
    torch.testing.assert_close(streaming.weights(), one_pass.weights(), **TOLERANCE)
    torch.testing.assert_close(one_pass.weights().sum(-1), torch.ones(one_pass.weights().shape[:-1]))


@pytest.mark.parametrize("kind", ["cross", "self"])
def test_captured_means_are_the_means_of_everything_captured(generator, generation, kind):
    sites = [site for site in generator.attention_sites() if site.kind == kind]
    everything, mean = Capture(keep_layers=True, keep_heads=True), Capture()
    with edit_attention(sites, everything), edit_attention(sites, mean):
        hidden(generator, generation)
    torch.testing.assert_close(mean.weights(), everything.weights().mean((1, 2)))
    if kind == "self":
        assert everything.weights().triu(1).abs().max() == 0, "a causal model looked ahead"


def test_looking_at_attention_changes_nothing(generator, generation):
    with edit_attention(generator.attention_sites(), lambda site, weights: None):
        watched = hidden(generator, generation)
    torch.testing.assert_close(watched, hidden(generator, generation), **TOLERANCE)


def test_a_gate_leaves_the_unconditional_half_of_a_guided_pass_alone(generator, generation):
    seen = []
    with edit_attention(generator.cross_attention(), lambda site, weights: seen.append(len(weights))):
        generator.generate(generation.prompt, duration=0.2, seed=0)
        assert set(seen) == {1}, "an edit saw the unconditional row of a streaming call"
        seen.clear()
        generator.forward(generation, branch="guided")
    assert len(seen) == len(generator.cross_attention()), "an edit ran in the unconditional pass"


def test_a_mask_of_ones_generates_the_same_codes(generator, generation):
    ones = torch.ones(generation.positions, len(generation.tokens))
    again = generator.generate(generation.prompt, duration=generation.duration, seed=generation.seed, mask=ones)
    assert torch.equal(again.record["codes"], generation.record["codes"])


def test_rows_of_a_batch_are_gated_apart(generator, generation):
    gates = random_gate(generation, rows=2)
    both = generator.encode_prompt([generation.prompt]).expand(2)
    with edit_attention(generator.cross_attention(), Gate(gates)):
        together = hidden(generator, generation, conditioning=both)
    for row, gate in zip(together, gates, strict=True):
        with edit_attention(generator.cross_attention(), Gate(gate)):
            torch.testing.assert_close(row, hidden(generator, generation)[0], **TOLERANCE)


def test_no_hook_is_left_even_after_an_exception(generator, generation):
    def fail(site, weights):
        raise RuntimeError("an edit went wrong")

    is_audiocraft = hasattr(generator, "lm")
    model = generator.lm if is_audiocraft else generator.model
    before = None if is_audiocraft else model.decoder.config._attn_implementation
    with pytest.raises(RuntimeError, match="went wrong"), edit_attention(generator.attention_sites(), fail):
        hidden(generator, generation)
    assert len(transformers_attention._watched) == len(audiocraft_attention._recomputed) == 0
    assert is_audiocraft or model.decoder.config._attn_implementation == before
    with pytest.raises(ZeroDivisionError), at_position(4, conditional_rows=1):
        _ = 1 / 0
    assert position().first_step == 0
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_nested_edits_see_each_other_in_order(generator, generation):
    def half(site, weights):
        return weights / 2

    sites, seen = generator.cross_attention(), []
    with edit_attention(sites, half), edit_attention(sites, lambda site, weights: seen.append(weights.sum(-1).mean())):
        hidden(generator, generation)
    torch.testing.assert_close(torch.stack(seen), torch.full((len(sites),), 0.5))


def test_a_gate_of_the_wrong_size_says_which_sizes_do_not_fit(generator, generation):
    with (
        pytest.raises(ValueError, match="does not fit"),
        edit_attention(generator.cross_attention(), Gate(torch.ones(2, 2))),
    ):
        hidden(generator, generation)


def test_a_capture_that_saw_nothing_says_so():
    with pytest.raises(RuntimeError, match="nothing was captured"):
        Capture().weights()


def test_a_gate_multiplies_each_weight_and_does_not_renormalise(generator):
    """A~[t, i] = M[t, i] * A[t, i], by hand."""
    weights = torch.tensor([[[[0.2, 0.8], [0.6, 0.4]]]])  # one row, one head, two steps, two tokens
    gate = torch.tensor([[0.5, 1.0], [0.0, 0.25]])
    site = generator.cross_attention()[0]
    torch.testing.assert_close(Gate(gate)(site, weights), torch.tensor([[[[0.1, 0.8], [0.0, 0.1]]]]))
    with at_position(1):  # streaming: the second step alone
        torch.testing.assert_close(Gate(gate)(site, weights[:, :, 1:]), torch.tensor([[[[0.0, 0.1]]]]))


def test_blocks_that_end_out_of_order_each_take_their_own_edit_away(generator, generation):
    sites, seen = generator.cross_attention()[:1], []
    first = edit_attention(sites, lambda site, weights: seen.append("first"))
    second = edit_attention(sites, lambda site, weights: seen.append("second"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    hidden(generator, generation)
    assert seen == ["second"]
    second.__exit__(None, None, None)
    hidden(generator, generation)
    assert seen == ["second"]
    assert len(transformers_attention._watched) == len(audiocraft_attention._recomputed) == 0


def test_a_capture_over_two_passes_is_their_mean(generator, generation):
    once, twice = Capture(), Capture()
    with edit_attention(generator.cross_attention(), once):
        hidden(generator, generation)
    with edit_attention(generator.cross_attention(), twice):
        hidden(generator, generation)
        hidden(generator, generation)
    torch.testing.assert_close(twice.weights(), once.weights())


def test_self_and_cross_attention_are_captured_apart(generator, generation):
    with pytest.raises(ValueError, match="capture them apart"), edit_attention(generator.attention_sites(), Capture()):
        hidden(generator, generation)


def test_edits_do_not_run_in_the_unconditional_branch(generator, generation):
    seen = []
    with edit_attention(generator.cross_attention(), lambda site, weights: seen.append(site)):
        generator.forward(generation, branch="unconditional")
        generator.generate(generation.prompt, duration=0.2, branch="unconditional")
    assert seen == []


def test_values_are_scaled_in_the_conditional_rows_of_a_guided_batch_alone(generator):
    site = generator.cross_attention()[0]
    values = torch.rand(4, 3, 5, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor([[0.0, 0.5, 2.0]])
    with scale_values([site], scale):
        with at_position(0, conditional_rows=2):
            scaled = scale_rows(site, values)
        with at_position(0, conditional_rows=0):
            untouched = scale_rows(site, values)
        everywhere = scale_rows(site, values)
    for row in range(4):
        for key, factor in enumerate(scale[0].tolist()):
            torch.testing.assert_close(scaled[row, key], values[row, key] * (factor if row < 2 else 1.0))
    assert torch.equal(untouched, values)
    torch.testing.assert_close(everywhere, values * scale[..., None])
    assert torch.equal(scale_rows(site, values), values)
