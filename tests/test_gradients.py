"""Forward-mode derivatives against reverse mode, finite differences, captum, and completeness."""

from dataclasses import replace

import pytest
import torch

from tagxai.forward_mode import token_derivatives
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.integrated_gradients import IntegratedGradients


@pytest.fixture(scope="module")
def conditioning(generator, generation):
    return generator.encode_prompt([generation.prompt])


def log_prob(generator, generation, conditioning, embeddings):
    """Of the clip's codes, for a batch of embeddings."""
    rows = replace(conditioning.expand(len(embeddings)), embeddings=embeddings)
    return generator.forward(generation, rows).log_prob


def test_forward_mode_is_reverse_mode(generator, generation, conditioning):
    forward = token_derivatives(generator, generation, conditioning, scale=0.7)
    point = (0.7 * conditioning.embeddings).requires_grad_()
    outputs = log_prob(generator, generation, conditioning, point)[0]
    for q, frame in ((0, 0), (1, 7), (3, 24)):
        (gradient,) = torch.autograd.grad(outputs[q, frame], point, retain_graph=True)
        expected = (gradient * conditioning.embeddings).sum(-1)[0]
        torch.testing.assert_close(forward[q, frame], expected, atol=1e-5, rtol=1e-4)


def test_a_derivative_is_a_small_difference(generator, generation, conditioning):
    token, step = 2, 1e-2
    moved = [conditioning.embeddings.clone() for _ in range(2)]
    moved[0][:, token] *= 1 + step
    moved[1][:, token] *= 1 - step
    with torch.no_grad():
        above, below = log_prob(generator, generation, conditioning, torch.cat(moved))
    slow = (above - below) / (2 * step)
    exact = token_derivatives(generator, generation, conditioning)[..., token]
    torch.testing.assert_close(exact, slow, atol=2e-3, rtol=2e-2)


def test_integrated_gradients_add_up_to_the_prompts_effect(generator, generation):
    explanation = IntegratedGradients().attribute(generator, generation)
    with torch.no_grad():
        effect = generator.forward(generation).log_prob - generator.forward(generation, branch="unconditional").log_prob
    torch.testing.assert_close(explanation.scores.sum(-1), effect[0], atol=1e-3, rtol=1e-3)
    assert explanation.diagnostics["completeness_error_max"] < 1e-3


def test_integrated_gradients_are_captums(generator, generation, conditioning):
    captum = pytest.importorskip("captum.attr")
    points, frames = 20, slice(3, 9)

    def score(embeddings):
        return log_prob(generator, generation, conditioning, embeddings)[..., frames].sum((1, 2))

    expected = captum.IntegratedGradients(score).attribute(
        conditioning.embeddings, baselines=0.0, n_steps=points, method="gausslegendre"
    )
    ours = IntegratedGradients(points=points).attribute(generator, generation).scores[:, frames].sum((0, 1))
    torch.testing.assert_close(ours, expected.sum(-1)[0].float(), atol=1e-4, rtol=1e-4)


def test_input_x_gradient_is_captums(generator, generation, conditioning):
    captum = pytest.importorskip("captum.attr")
    embeddings = conditioning.embeddings.clone().requires_grad_()
    expected = captum.InputXGradient(
        lambda point: log_prob(generator, generation, conditioning, point).sum((1, 2))
    ).attribute(embeddings)
    ours = InputXGradient().attribute(generator, generation).scores.sum((0, 1))
    torch.testing.assert_close(ours, expected.sum(-1)[0].detach(), atol=1e-4, rtol=1e-4)
