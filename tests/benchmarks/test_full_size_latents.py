"""benchmarks/full_size.py on a latent shape: every stage runs, and is scaled by what it timed."""

import full_size_latents as latents
import pytest

STAGES = {"generate": (200, 2), "forward": (4, 1), "audiogenx": (160, 4), "leave_one_out": (52, 2)}


@pytest.fixture(scope="module")
def stages():
    return latents.LatentStages(latents.LATENT_SHAPES["small-latent"], "float32")


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_counts_its_rows(stages, name):
    found, (rows, timed) = getattr(stages, name)(), STAGES[name]
    assert found["positions"] == rows * 21  # 20 latent frames, and the token before them
    assert found["timed"] == timed
    assert found["seconds"] >= found["timed_seconds"] > 0


def test_forward_mode_is_scaled_by_tokens(stages):
    found = stages.input_x_gradient()
    short = len(stages.random_clip("dog").tokens)
    assert found["seconds"] == pytest.approx(found["timed_seconds"] * 4 * len(stages.clip.tokens) / short)


def test_the_shape_of_stable_audio_open_has_its_released_size():
    import torch
    from diffusers import StableAudioDiTModel

    with torch.device("meta"):
        network = StableAudioDiTModel(**latents.LATENT_SHAPES["stable-audio-open"].network)
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(1.06e9, rel=0.01)
