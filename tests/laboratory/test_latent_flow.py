"""The network of the embedded model `latent`, and its sampler."""

import pytest
import torch

from tagxai.laboratory.latent_flow import FlowConfig, LatentFlow, rotary, turned
from tagxai.laboratory.latent_sampling import noise_levels, trajectory

SMALL = FlowConfig(width=32, layers=2, heads=2, inner=24, dim=6, bins=9, text=10, frames=12, denoising_steps=3)


@pytest.fixture(scope="module")
def flow():
    """A small flow whose weights are random throughout: none of its parts is silent, as some are before training."""
    generator = torch.Generator().manual_seed(0)
    model = LatentFlow(SMALL)
    for weight in model.parameters():
        weight.data = 0.3 * torch.randn(weight.shape, generator=generator)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def inputs():
    """Noisy latents, levels, text and mask of two prompts, of five tokens and of three."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    return (
        torch.randn(2, 12, 6, generator=generator),
        torch.tensor([0.9, 0.4]),
        torch.randn(2, 5, 10, generator=generator),
        mask,
    )


class Edited:
    def __init__(self, edit):
        self.weights = edit

    def wants_weights(self):
        return True

    def values(self, values):
        return values


def editing(flow, edit):
    """The flow's cross-attentions with `edit` set, as a context would."""
    patch = pytest.MonkeyPatch()
    for block in flow.blocks:
        patch.setattr(block.cross_attn, "editing", Edited(edit))
    return patch


def test_velocity_has_the_shape_of_the_latents_also_of_fewer_frames(flow, inputs):
    x, t, text, mask = inputs
    assert flow(x, t, text, mask).shape == x.shape
    assert flow(x[:, :7], t, text, mask).shape == (2, 7, 6)


def test_text_matters_and_padding_does_not(flow, inputs):
    x, t, text, mask = inputs
    velocity = flow(x, t, text, mask)
    other = torch.where(mask[..., None], text, torch.full_like(text, 7.0))
    assert torch.equal(flow(x, t, other, mask), velocity)
    torch.testing.assert_close(flow(x[1:], t[1:], text[1:, :3], mask[1:, :3]), velocity[1:], atol=1e-5, rtol=1e-5)
    assert (flow(x, t, text.flip(1), torch.ones_like(mask)) - velocity).abs().max() > 1e-2


def test_a_gate_of_zeros_is_the_null_condition_and_a_gate_of_ones_changes_nothing(flow, inputs):
    x, t, text, mask = inputs
    null = flow(x, t, torch.zeros_like(text), mask)
    for gate, expected in ((0.0, null), (1.0, flow(x, t, text, mask))):
        patch = editing(flow, lambda weights, logits, values, gate=gate: gate * weights)
        try:
            torch.testing.assert_close(flow(x, t, text, mask), expected, atol=1e-5, rtol=0)
        finally:
            patch.undo()
    assert (null - flow(x, t, text, mask)).abs().max() > 1e-2
    assert torch.equal(null, flow(x, t, torch.zeros_like(text), torch.ones_like(mask)))


def test_edits_see_weights_over_keys_and_logits_that_give_them(flow, inputs):
    seen = []

    def look(weights, logits, values):
        seen.append((weights, logits, values))
        return weights

    patch = editing(flow, look)
    try:
        flow(*inputs)
    finally:
        patch.undo()
    assert len(seen) == SMALL.layers
    for weights, logits, values in seen:
        assert weights.shape == logits.shape == (2, SMALL.heads, 12, 5)
        assert values.shape == (2, SMALL.heads, 5, SMALL.width // SMALL.heads)
        torch.testing.assert_close(weights, logits.softmax(-1))
        assert not weights[1, :, :, 3:].any()


def test_frames_know_their_place(flow, inputs):
    _, t, text, mask = inputs
    alike = torch.ones(2, 12, 6)
    velocity = flow(alike, t, text, mask)
    assert (velocity[:, 1:] - velocity[:, :-1]).abs().amax(2).min() > 1e-3


def test_rotary_positions_count_distances_only():
    table = tuple(rotary(12, 16))
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0)).expand(-1, -1, -1, 12, -1)
    products = (turned(q, table) @ turned(k, table).transpose(2, 3))[0, 0]
    for apart in (-3, 0, 5):
        diagonal = products.diagonal(apart)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=0)
    torch.testing.assert_close(turned(q, table).norm(dim=-1), q.norm(dim=-1))


def test_derivatives_forward_and_reverse_agree(flow, inputs):
    x, t, text, mask = inputs
    direction = torch.randn(text.shape, generator=torch.Generator().manual_seed(2))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        _, forward = torch.func.jvp(lambda y: flow(x, t, y, mask).square().sum(), (text,), (direction,))
        gradient = torch.func.grad(lambda y: flow(x, t, y, mask).square().sum())(text)
    torch.testing.assert_close(forward, (gradient * direction).sum(), rtol=1e-3, atol=1e-3)


def test_saved_in_half_precision_and_loaded_in_single(flow, inputs, tmp_path):
    flow.save(tmp_path)
    loaded = LatentFlow.load(tmp_path)
    assert loaded.config == SMALL
    assert {weight.dtype for weight in loaded.state_dict().values()} == {torch.float32}
    for name, value in flow.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float()), name


def test_the_shipped_size_fits_its_budget(tmp_path):
    LatentFlow().save(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 10e6


def test_noise_levels_fall_from_one_to_zero_and_a_shift_keeps_them_high():
    assert noise_levels(4, 1.0).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert noise_levels(2, 3.0).tolist() == [1.0, 0.75, 0.0]


def test_guidance_blends_the_velocities_with_text_and_without(flow, inputs):
    noise, _, text, mask = inputs
    runs = {
        guidance: torch.stack(list(trajectory(flow, noise, text, mask, guidance=guidance, steps=1)))
        for guidance in (0.0, 1.0, 3.0)
    }
    assert all(torch.equal(run[0], noise) and len(run) == 2 for run in runs.values())
    start = torch.ones(2)
    close = {"rtol": 1e-4, "atol": 1e-4}  # batches of two and of four are summed in another order
    torch.testing.assert_close(runs[1.0][1], noise - flow(noise, start, text, mask), **close)
    torch.testing.assert_close(runs[0.0][1], noise - flow(noise, start, torch.zeros_like(text), mask), **close)
    torch.testing.assert_close(runs[3.0][1], 3 * runs[1.0][1] - 2 * runs[0.0][1], **close)
    assert len(list(trajectory(flow, noise, text, mask))) == SMALL.denoising_steps + 1
