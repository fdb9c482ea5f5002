"""Methods of weights and their gradients, against every map kept."""

from dataclasses import replace

import pytest
import torch
from attention_maps import to_frames

from tagxai.contract.attention import edit_attention
from tagxai.contract.run import Run
from tagxai.errors import TagxaiError
from tagxai.methods.attention_grad_cam import AttentionGradCAM
from tagxai.methods.generic_attention import GenericAttention, normalised
from tagxai.methods.gradient_x_attention import GradientXAttention
from tagxai.probing import attention_gradients
from tagxai.probing.edits import Gate
from tagxai.probing.windows import windows

TOLERANCE = {"atol": 1e-5, "rtol": 1e-4}


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
