"""Derivatives against reverse mode, finite differences, captum and literal definitions, and completeness."""

from dataclasses import replace

import pytest
import torch

from tagxai.contract.run import Run
from tagxai.errors import TagxaiError
from tagxai.methods.gradient_shap import GradientShap
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.integrated_gradients import IntegratedGradients
from tagxai.methods.saliency import Saliency
from tagxai.methods.smooth_grad import SmoothGrad
from tagxai.probing.derivatives import Derivatives, choose_mode
from tagxai.probing.forward_mode import token_derivatives

METHODS = [
    InputXGradient(),
    IntegratedGradients(points=2),
    GradientShap(samples=2),
    Saliency(),
    SmoothGrad(samples=2),
    SmoothGrad(samples=2, score="length"),
]


@pytest.fixture(scope="module")
def conditioning(generator, generation):
    return generator.encode_prompt([generation.prompt])


def log_prob(generator, generation, conditioning, embeddings):
    """The log-probability of the clip's codes, for a batch of embeddings."""
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


def test_a_model_without_vmap_has_the_same_derivatives_row_by_row(generator, generation, conditioning, monkeypatch):
    at_once = token_derivatives(generator, generation, conditioning)
    rows, forward = [], generator.forward

    def without_vmap(clip, given, **options):
        if torch._C._functorch.is_functorch_wrapped_tensor(given.embeddings):
            raise RuntimeError("no batching rule")
        rows.append(len(given))
        return forward(clip, given, **options)

    monkeypatch.setattr(generator, "forward", without_vmap)
    one_by_one = token_derivatives(generator, generation, conditioning)
    assert rows == [len(generation.tokens)]
    torch.testing.assert_close(one_by_one, at_once, atol=1e-5, rtol=1e-4)


def test_too_little_memory_is_not_taken_for_a_missing_vmap(generator, generation, conditioning, monkeypatch):
    asked = []

    def full(*given, **options):
        asked.append(given)
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(generator, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        token_derivatives(generator, generation, conditioning)
    assert len(asked) == 1


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


# Which mode, and that it makes no difference


def of_frames(generation, frames):
    codes = generation.record["codes"][:, :frames]
    return replace(generation, record={"codes": codes}, timeline=replace(generation.timeline, frames=frames))


@pytest.fixture(scope="module")
def short(generator, generation):
    """The first 3 frames of the clip: 12 codes, fewer than a token has dimensions."""
    return of_frames(generation, 3)


def named(method):
    return f"{method.name}-{getattr(method, 'score', '')}".strip("-")


@pytest.mark.parametrize("method", METHODS, ids=named)
@pytest.mark.parametrize("target", ["conditional", "guided"])
def test_both_modes_give_the_same_scores(method, target, generator, short):
    forward, reverse = (
        replace(method, mode=m, target=target).attribute(generator, short) for m in ("forward", "reverse")
    )
    assert (forward.settings["mode"], reverse.settings["mode"]) == ("forward", "reverse")
    torch.testing.assert_close(forward.scores, reverse.scores, atol=1e-5, rtol=1e-4)


def test_the_mode_with_fewer_passes_is_taken():
    assert choose_mode(outputs=300, directions=7) == "forward"
    assert choose_mode(outputs=300, directions=7 * 144) == "reverse"


@pytest.mark.parametrize("method", METHODS, ids=named)
def test_a_result_says_its_mode_and_its_passes(method, generator, generation):
    explanation = method.attribute(generator, generation)
    tokens, outputs = len(generation.tokens), generation.record["codes"].numel()
    dimensions = generator.encode_prompt([generation.prompt]).embeddings.shape[-1]
    calls = getattr(method, "points", None) or getattr(method, "samples", 1)
    directions = tokens * dimensions if explanation.scores.min() >= 0 else tokens
    mode, passes = ("forward", directions) if outputs > directions else ("reverse", outputs)
    assert explanation.settings["mode"] == mode
    assert explanation.diagnostics["outputs"] == outputs
    counted = {"forward": explanation.cost.forward_mode_passes, "reverse": explanation.cost.backward_passes}
    assert counted == {"forward": 0, "reverse": 0} | {mode: passes * calls}


def test_a_clip_of_fewer_codes_than_tokens_is_done_in_reverse_mode(generator, generation):
    single = of_frames(generation, 1)
    assert InputXGradient().attribute(generator, single).settings["mode"] == "reverse"
    assert InputXGradient().attribute(generator, generation).settings["mode"] == "forward"


@pytest.mark.parametrize("method", METHODS, ids=named)
def test_results_do_not_depend_on_the_split_into_batches(method, generator, short, monkeypatch):
    whole = method.attribute(generator, short).scores
    monkeypatch.setattr("tagxai.probing.derivatives.ROWS_AT_ONCE", 1)
    torch.testing.assert_close(method.attribute(generator, short).scores, whole, atol=1e-5, rtol=1e-4)


def test_progress_ends_at_its_total(generator, short):
    reports = []
    SmoothGrad(samples=3, score="length").attribute(generator, short, on_progress=reports.append)
    assert reports[-1].done == reports[-1].total
    assert [r.done for r in reports] == sorted({r.done for r in reports})


# Each method against its definition


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


# Odd prompts


@pytest.fixture(
    params=["a", "dogs " * 30, "bell bell bell", "собака лает", "</s>"],
    ids=["one word", "60 tokens", "repeated", "another script", "end of text"],
)
def odd(request, generator):
    return generator.generate(request.param, duration=0.12, seed=1)


def test_an_odd_prompt_is_explained_and_adds_up(odd, generator):
    for method in METHODS:
        scores = method.attribute(generator, odd).scores
        assert scores.shape == (odd.streams, odd.frames, len(odd.tokens))
        assert torch.isfinite(scores).all()
    explanation = IntegratedGradients().attribute(generator, odd)
    assert explanation.diagnostics["completeness_error_max"] < 1e-3


def test_the_end_of_text_alone_has_all_of_the_effect(generator, generation, conditioning):
    nothing = generator.encode_prompt([""])
    alone = replace(generation, prompt="", tokens=nothing.tokens[0], spans=nothing.spans[0])
    scores = IntegratedGradients().attribute(generator, alone).scores
    with torch.no_grad():
        given, null = generator.forward(alone).log_prob, generator.forward(alone, branch="unconditional").log_prob
    assert alone.tokens == ("</s>",)
    torch.testing.assert_close(scores[..., 0], (given - null)[0], atol=1e-3, rtol=1e-3)


def test_equal_embeddings_have_equal_scores(generator, generation):
    """The decoder has no positions for text, so two equal rows of embeddings cannot be told apart."""
    with Run.opened(generator, generation, None) as run:
        twice = torch.cat([run.conditioning.embeddings[0, :2], run.conditioning.embeddings[0, :1]])
        mask = torch.ones(1, 3, dtype=torch.bool)
        run.conditioning = replace(run.conditioning, embeddings=twice[None], mask=mask)
        scores = Derivatives(run).per_token(twice, twice)
    torch.testing.assert_close(scores[..., 0], scores[..., 2], atol=1e-5, rtol=1e-4)
