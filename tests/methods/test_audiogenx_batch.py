"""AudioGenX's masks of several seeds, learned in one batch."""

import pytest
import torch

from tagxai.methods.audiogenx import AudioGenX

SETTINGS = {
    "logits": {"epochs": 4},
    "stops early": {"epochs": 30, "patience": 1, "tolerance": 0.02},
    "mlp": {"explainer": "mlp", "epochs": 3, "hidden_units": 4, "learning_rate": 0.1},
    "reference": {"mode": "reference", "epochs": 2, "hidden_units": 4},
    "no noise, warm": {"epochs": 3, "noise": False, "warm_start": "attention"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_masks_of_a_batch_are_those_learned_one_at_a_time(settings, generator, generation):
    method = AudioGenX(seeds=3, **settings)
    alone, (together,) = method.attribute(generator, generation), method.attribute_many(generator, [generation])
    assert torch.allclose(together.scores, alone.scores, atol=1e-5)
    assert torch.allclose(together.deviation, alone.deviation, atol=1e-5)
    counts = [len(losses) for losses in alone.diagnostics["loss_of_each_seed"]]
    assert [len(losses) for losses in together.diagnostics["loss_of_each_seed"]] == counts
    for name in ("forward_passes", "backward_passes"):
        assert getattr(together.cost, name) == getattr(alone.cost, name)
    assert together.cost.model_calls < alone.cost.model_calls / 2


def test_seeds_of_a_batch_stop_each_at_its_own_time(generator, generation):
    (found,) = AudioGenX(seeds=4, **SETTINGS["stops early"]).attribute_many(generator, [generation])
    counts = {len(losses) for losses in found.diagnostics["loss_of_each_seed"]}
    assert len(counts) > 1
    assert max(counts) < 30


def test_one_seed_of_many_clips_is_bit_for_bit_the_explanation_of_each(generator, generation):
    other = generator.generate("a bell", duration=0.6, seed=5)
    method = AudioGenX(epochs=3)
    for together, clip in zip(method.attribute_many(generator, [generation, other]), [generation, other], strict=True):
        assert torch.equal(together.scores, method.attribute(generator, clip).scores)
        assert together.generation is clip
