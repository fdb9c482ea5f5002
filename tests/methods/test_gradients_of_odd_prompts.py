"""Derivatives of prompts that are short, long, repeated, in another script or empty."""

from dataclasses import replace

import pytest
import torch
from gradient_cases import METHODS

from tagxai.contract.run import Run
from tagxai.methods.integrated_gradients import IntegratedGradients
from tagxai.probing.derivatives import Derivatives


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
