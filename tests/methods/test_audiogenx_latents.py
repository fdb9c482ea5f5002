"""AudioGenX's defaults for models that denoise latents: where masks start, and how they are learned from there."""

import pytest
import torch

from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.value_norms import ValueNorms


@pytest.fixture(scope="module")
def clip(latent):
    return latent.generate("a dog barks", duration=0.4, seed=1)


def test_a_start_from_value_norms_is_relative_to_the_largest_of_the_clip(latent, clip):
    norms = clip.timeline.to_positions(ValueNorms().attribute(latent, clip).scores)
    settings = {"warm_start": "value_norms", "epochs": 1, "learning_rate": 0.0}
    untouched = AudioGenX(**settings).attribute(latent, clip).to_positions()
    torch.testing.assert_close(untouched, (norms / norms.max()).clamp(0.1, 0.9), atol=1e-5, rtol=1e-4)


def test_latent_models_have_a_schedule_of_their_own(latent, clip):
    codes, latents = AudioGenX().schedule_for(1), AudioGenX().schedule_for(4)
    assert (codes.warm_start, codes.start_scale, codes.learning_rate) == ("value_zeroing", 0.5, 1.5)
    assert (latents.warm_start, latents.start_scale, latents.learning_rate) == ("value_norms", 1.0, 0.1)
    assert AudioGenX(learning_rate=1.0).schedule_for(4).learning_rate == 1.0
    assert AudioGenX(explainer="mlp").schedule_for(4) == AudioGenX(explainer="mlp").schedule
    used = AudioGenX(epochs=1).attribute(latent, clip).settings
    assert (used["warm_start"], used["start_scale"], used["learning_rate"]) == ("value_norms", 1.0, 0.1)
