"""benchmarks/full_size.py on a latent shape: every stage runs, and is scaled by what it timed."""

import pytest
from full_size_latent_shapes import LATENT_SHAPES
from full_size_latents import LatentStages

STAGES = {"generate": (200, 2), "forward": (4, 1), "audiogenx": (160, 4), "leave_one_out": (52, 2)}
POSITIONS = {"small-latent": 20 + 1, "small-latent-3": 54 + 3}  # latent frames, and the tokens before them


@pytest.fixture(scope="module", params=POSITIONS)
def stages(request):
    return LatentStages(LATENT_SHAPES[request.param], "float32"), POSITIONS[request.param]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_counts_its_rows(stages, name):
    model, positions = stages
    found, (rows, timed) = getattr(model, name)(), STAGES[name]
    if name == "generate" and model.shape.branch == "conditional":
        rows, timed = 8, 1  # few steps, without guidance
    assert found["positions"] == rows * positions
    assert found["timed"] == timed
    assert found["seconds"] >= found["timed_seconds"] > 0


def test_forward_mode_is_scaled_by_tokens(stages):
    stages, _ = stages
    found = stages.input_x_gradient()
    short = len(stages.random_clip("dog").tokens)
    assert found["seconds"] == pytest.approx(found["timed_seconds"] * 4 * len(stages.clip.tokens) / short)


@pytest.mark.parametrize(
    ("shape", "network", "weights"),
    [
        ("stable-audio-open", "StableAudioDiTModel", 1.06e9),
        ("stable-audio-3-small", "StableAudio3DiTModel", 4.59e8),  # of the authors' technical report, arXiv:2605.17991
    ],
)
def test_a_shape_has_its_released_size(shape, network, weights):
    import diffusers
    import torch

    with torch.device("meta"):
        made = getattr(diffusers, network)(**LATENT_SHAPES[shape].network)
    assert sum(weight.numel() for weight in made.parameters()) == pytest.approx(weights, rel=0.01)
