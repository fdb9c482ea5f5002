"""Explanations in a lower precision are those of float32 but for its rounding, under both backends.

The bounds are two to three times what was measured on four random checkpoints of each backend (seeds 0 to 3). Of these
models a word changes the log-probability of a code by some 0.01 to 0.1, so that 0.03 would hide the effect of a word on
one code, but not on a clip.
"""

import pytest
import torch

from tagxai.explaining.loading import load_generator
from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.scoring import leave_one_out, score
from tagxai.text.words import words

PROMPT = "a dog barks while rain falls"
LEARNED = {"alpha": 0.0, "beta": 0.0}  # no pull to an empty mask: what is left is what the hidden states say


@pytest.fixture(scope="module", params=["musicgen", "audiogen"])
def exact(request):
    """The generator in float32, and how to load it in another dtype."""
    folder = request.getfixturevalue({"musicgen": "random_model", "audiogen": "audiocraft_model"}[request.param])
    spec = f"{request.param}:{folder}"
    return load_generator(spec), lambda dtype: load_generator(spec, dtype=dtype)


@pytest.fixture(scope="module", params=["bfloat16", "float16"])
def pair(exact, request):
    """The generator in float32 and in a lower dtype, and a clip of the former."""
    generator, load = exact
    return generator, load(request.param), generator.generate(PROMPT, duration=0.6, seed=3)


def both(pair, method):
    exact, lower, clip = pair
    first, second = (method.attribute(generator, clip).scores for generator in (exact, lower))
    assert not torch.equal(first, second)  # it was lower
    return first, second


def test_only_the_matrices_of_the_decoders_layers_are_lowered(pair):
    exact, lower, _ = pair
    assert exact.dtype == torch.float32 != lower.dtype
    assert lower.encode_prompt([PROMPT]).embeddings.dtype == torch.float32
    torch.testing.assert_close(
        lower.encode_prompt([PROMPT]).embeddings, exact.encode_prompt([PROMPT]).embeddings, rtol=0, atol=0
    )


def test_log_probabilities_of_coalitions_agree(pair):
    exact, lower, clip = pair
    units = words(clip.prompt, clip.spans, clip.tokens)
    first, second = (score(g, clip, units, leave_one_out(len(units))).log_prob for g in (exact, lower))
    assert 0 < (first - second).abs().max() < 0.03


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_log_probabilities_after_a_shared_beginning_agree(random_model, dtype):
    exact, lower = (load_generator(f"musicgen:{random_model}", dtype=each) for each in ("float32", dtype))
    clip = exact.generate(PROMPT, duration=0.6, seed=3)
    units = words(clip.prompt, clip.spans, clip.tokens)
    asked = {"frames": range(8, 12), "prefix": "shared"}
    first, second = (score(g, clip, units, leave_one_out(len(units)), **asked).log_prob for g in (exact, lower))
    assert 0 < (first - second).abs().max() < 0.03


@pytest.mark.parametrize(
    "method",
    [
        AudioGenX(noise=True, warm_start="half", adam_beta1=0.9, smoothness=0.0, learning_rate=1.0, **LEARNED),
        AudioGenX(explainer="mlp", hidden_units=8, epochs=10, learning_rate=0.01, **LEARNED),
    ],
    ids=["logits", "mlp"],
)
def test_audiogenx_masks_agree(pair, method):
    first, second = both(pair, method)
    assert (first - second).abs().mean() < 0.01


def test_raw_attention_agrees(pair):
    first, second = both(pair, CrossAttention())
    assert (first - second).abs().max() < 0.002


def test_input_x_gradient_agrees(pair):
    first, second = both(pair, InputXGradient())
    assert (first - second).norm() < 0.02 * first.norm()


def test_a_clip_is_generated_in_every_dtype(pair):
    _, lower, _ = pair
    clip = lower.generate(PROMPT, duration=0.4, seed=1)
    assert torch.isfinite(clip.waveform).all()
    assert clip.waveform.dtype == torch.float32
    assert torch.equal(clip.record["codes"], lower.generate(PROMPT, duration=0.4, seed=1).record["codes"])
