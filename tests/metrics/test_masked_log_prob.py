"""What masks keep and lose of the log-probability, by the closed form of the analytic model."""

import pytest
import torch

from tagxai import Attribution, TagxaiError, load_generator
from tagxai.registering.registry import registry

pytest.importorskip("tagxai_analytic")

from tagxai_analytic import ClosedForm


@pytest.fixture(scope="module")
def linear():
    return load_generator("analytic:linear")


def keeping(clip, *words):
    """A mask that ranks these words above all others."""
    said = ClosedForm(clip).words
    mask = torch.tensor([float(word in words) for word in said])
    return Attribution(clip, mask.expand(1, clip.frames, -1), "random", is_mask=True, merge="mean")


def value(clip, kept):
    return float(ClosedForm(clip).log_prob([word in kept for word in ClosedForm(clip).words]).mean())


@pytest.mark.parametrize("kept", [("bell", "rain"), ("bell", "a"), ("a", "the")])
def test_the_shares_are_those_of_the_closed_form_with_half_of_the_tokens(linear, kept):
    clip = linear.generate("bell rain a the", duration=1.0)  # and `</s>`: five tokens
    size = 2 / 5
    metrics = {name: registry().metric(name)(size=size) for name in ("kept_log_prob", "lost_log_prob")}
    found = {name: metric.score(linear, clip, keeping(clip, *kept)) for name, metric in metrics.items()}
    every = ("bell", "rain", "a", "the", "")
    whole, none = value(clip, every), value(clip, ())
    left = [word for word in every if word not in kept]
    assert found["kept_log_prob"] == pytest.approx((value(clip, kept) - none) / (whole - none), abs=1e-4)
    assert found["lost_log_prob"] == pytest.approx((whole - value(clip, left)) / (whole - none), abs=1e-4)


def test_a_method_gains_nothing_by_keeping_more(linear):
    clip = linear.generate("bell rain a the", duration=1.0)
    metric = registry().metric("kept_log_prob")()
    ones, zeros = (
        Attribution(clip, make(1, clip.frames, len(clip.tokens)), "random", is_mask=True, merge="mean")
        for make in (torch.ones, torch.zeros)
    )
    assert metric.score(linear, clip, ones) == pytest.approx(metric.score(linear, clip, zeros))


def test_a_prompt_that_does_nothing_leaves_nothing_to_share(linear):
    clip = linear.generate("the sound of nothing", duration=0.5)
    with pytest.raises(TagxaiError, match="no mask matters"):
        registry().metric("lost_log_prob")().score(linear, clip, keeping(clip, "the"))
