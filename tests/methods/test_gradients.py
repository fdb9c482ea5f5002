"""Derivatives against reverse mode, finite differences and captum, and completeness."""

from dataclasses import replace

import pytest
import torch
from gradient_cases import METHODS, log_prob, named, of_frames

from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.integrated_gradients import IntegratedGradients
from tagxai.methods.smooth_grad import SmoothGrad
from tagxai.probing.derivatives import choose_mode
from tagxai.probing.forward_mode import token_derivatives


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
