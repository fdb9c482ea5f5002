"""Methods that take derivatives, each against its definition in simple, slow code."""

import pytest
import torch
from gradient_cases import log_prob

from tagxai.errors import TagxaiError
from tagxai.methods.gradient_shap import GradientShap
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.integrated_gradients import IntegratedGradients
from tagxai.methods.saliency import Saliency
from tagxai.methods.smooth_grad import SmoothGrad


def gradient(generator, generation, conditioning, point, q, frame):
    """The gradient of one code's log-probability, by plain reverse mode; [tokens, dim]."""
    point = point[None].clone().requires_grad_()
    (found,) = torch.autograd.grad(log_prob(generator, generation, conditioning, point)[0, q, frame], point)
    return found[0]


def test_saliency_is_the_length_of_the_gradient(generator, generation, conditioning):
    scores = Saliency().attribute(generator, generation).scores
    for q, frame in ((0, 0), (2, 11), (3, 24)):
        expected = gradient(generator, generation, conditioning, conditioning.embeddings[0], q, frame).square().sum(-1)
        torch.testing.assert_close(scores[q, frame], expected.sqrt(), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("score", ["input", "length"])
def test_smooth_grad_averages_the_gradients_of_noisy_prompts(score, generator, short, conditioning):
    method = SmoothGrad(samples=3, noise=0.3, seed=5, score=score)
    prompt, random = conditioning.embeddings[0], torch.Generator().manual_seed(5)
    spread = 0.3 * prompt.std(-1, keepdim=True)
    points = [prompt + spread * torch.randn(prompt.shape, generator=random) for _ in range(3)]
    scores = method.attribute(generator, short).scores
    for q, frame in ((0, 0), (3, 2)):
        mean = sum(gradient(generator, short, conditioning, point, q, frame) for point in points) / 3
        expected = (mean * prompt).sum(-1) if score == "input" else mean.norm(dim=-1)
        torch.testing.assert_close(scores[q, frame], expected, atol=1e-5, rtol=1e-4)


def test_smooth_grad_without_noise_is_the_plain_gradient(generator, short):
    plain, length = InputXGradient().attribute(generator, short), Saliency().attribute(generator, short)
    smooth = SmoothGrad(samples=2, noise=0.0).attribute(generator, short)
    torch.testing.assert_close(smooth.scores, plain.scores, atol=1e-5, rtol=1e-4)
    smooth = SmoothGrad(samples=2, noise=0.0, score="length").attribute(generator, short)
    torch.testing.assert_close(smooth.scores, length.scores, atol=1e-5, rtol=1e-4)


def test_gradient_shap_averages_gradients_on_the_way_to_noisy_prompts(generator, short, conditioning):
    prompt, random = conditioning.embeddings[0], torch.Generator().manual_seed(2)
    spread, draws = 0.2 * prompt.std(-1, keepdim=True), []
    for part in range(4):  # one draw in each quarter of the way
        place = (part + torch.rand((), generator=random)) / 4
        draws.append((place, prompt + spread * torch.randn(prompt.shape, generator=random)))
    scores = GradientShap(samples=4, noise=0.2, seed=2).attribute(generator, short).scores
    for q, frame in ((1, 0), (2, 2)):
        gains = [gradient(generator, short, conditioning, at * noisy, q, frame) * noisy for at, noisy in draws]
        torch.testing.assert_close(scores[q, frame], sum(gains).sum(-1) / 4, atol=1e-5, rtol=1e-4)


def test_gradient_shap_without_noise_tends_to_integrated_gradients(generator, short):
    exact = IntegratedGradients(points=20).attribute(generator, short).scores

    def error(samples):
        return (GradientShap(samples=samples, noise=0.0).attribute(generator, short).scores - exact).abs().max().item()

    few, many = error(4), error(64)
    assert many < 0.02
    assert many < few / 4  # stratified draws: the error falls as samples^-1.5, that of plain ones as samples^-0.5


@pytest.mark.parametrize("target", ["conditional", "guided"])
def test_completeness_is_reported_as_it_is(target, generator, short):
    for method in (IntegratedGradients(points=8, target=target), GradientShap(samples=4, target=target)):
        explanation = method.attribute(generator, short)
        with torch.no_grad():
            effect = generator.forward(short, branch=target).log_prob
            effect = effect - generator.forward(short, branch="unconditional").log_prob
        missed = (explanation.scores.sum(-1) - effect[0]).abs()
        assert explanation.diagnostics["completeness_error_max"] == pytest.approx(missed.max().item(), abs=1e-5)
        assert explanation.diagnostics["completeness_error_mean"] == pytest.approx(missed.mean().item(), abs=1e-5)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"noise": -1.0}])
@pytest.mark.parametrize("method", [SmoothGrad, GradientShap])
def test_settings_that_make_no_sense_are_refused(method, wrong):
    with pytest.raises(TagxaiError, match=f"option '{next(iter(wrong))}' of method '{method.name}' must be at least"):
        method(**wrong)
