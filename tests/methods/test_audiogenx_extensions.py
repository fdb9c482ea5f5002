"""AudioGenX beyond its paper: hard masks, smoothness, warm starts, several seeds, and likelihoods."""

import math

import pytest
import torch
from masks_by_word import ones

from tagxai.contract.attention import edit_attention
from tagxai.errors import TagxaiError
from tagxai.methods.audiogenx import AudioGenX, masks
from tagxai.methods.audiogenx.objective import Similarity, compare_likelihoods
from tagxai.methods.value_zeroing import ValueZeroing
from tagxai.probing.edits import Capture, Gate
from tagxai.probing.forward_mode import token_derivatives

QUICK = {"epochs": 3}


def test_hard_concrete_masks_are_stretched_and_clipped_one_by_one():
    logits, temperature = torch.tensor([[3.0, -3.0, 0.2, -0.4]]), 2 / 3
    drawn = masks.draw(logits, temperature, torch.Generator().manual_seed(0), "hard_concrete")
    uniform = torch.rand(logits.shape, generator=torch.Generator().manual_seed(0))
    for logit, u, found in zip(logits[0].tolist(), uniform[0].tolist(), drawn[0].tolist(), strict=True):
        soft = 1 / (1 + math.exp(-(math.log(u) - math.log(1 - u) + logit) / temperature))
        assert found == pytest.approx(min(1.0, max(0.0, soft * 1.2 - 0.1)), abs=1e-5)
    assert masks.noise_free(torch.tensor([9.0, -9.0]), "hard_concrete").tolist() == [1.0, 0.0]


def test_presence_is_how_often_a_hard_mask_is_not_zero():
    logits, temperature = torch.tensor([[-3.0, -1.0, 0.0, 2.0]]), 0.5
    many = masks.draw(logits.expand(40_000, -1), temperature, torch.Generator().manual_seed(0), "hard_concrete")
    expected = masks.presence(logits, temperature, "hard_concrete")[0]
    torch.testing.assert_close((many > 0).float().mean(0), expected, atol=0.01, rtol=0)
    torch.testing.assert_close(masks.presence(logits, temperature), logits.sigmoid())


def test_hard_masks_reach_zero_and_one(generator, generation):
    settings = {"distribution": "hard_concrete", "alpha": 0.05, "epochs": 20, "patience": 0}
    mask = AudioGenX(**settings).attribute(generator, generation).scores
    assert (mask == 0).any()
    assert ((mask >= 0) & (mask <= 1)).all()


def test_the_smoothness_weight_adds_the_total_variation_over_steps():
    similarity = Similarity(torch.zeros(3), torch.zeros(3))
    mask = torch.tensor([[0.1, 0.9], [0.4, 0.9], [0.2, 0.3]])
    rough, smooth = (AudioGenX(smoothness=w).loss(similarity, mask.logit()).item() for w in (0.0, 2.0))
    assert smooth - rough == pytest.approx(2 * (0.3 + 0.2 + 0.0 + 0.6), abs=1e-5)


def test_smoothness_makes_masks_vary_less_from_step_to_step(generator, generation):
    settings = {"warm_start": "gradient", "alpha": 0.0, "beta": 0.0, "learning_rate": 0.1, "patience": 0}
    rough, smooth = (
        AudioGenX(smoothness=w, **settings).attribute(generator, generation).to_positions() for w in (0.0, 1.0)
    )
    assert smooth.diff(dim=0).abs().sum() < 0.8 * rough.diff(dim=0).abs().sum()


@pytest.mark.parametrize("kind", ["attention", "gradient", "value_zeroing"])
def test_a_warm_start_is_the_map_relative_to_the_largest_of_each_step(run, generator, generation, kind):
    if kind == "attention":
        with torch.no_grad(), edit_attention(generator.cross_attention(), capture := Capture()):
            generator.forward(generation)
        found = capture.weights()[0]
    elif kind == "value_zeroing":
        found = generation.timeline.to_positions(ValueZeroing().attribute(generator, generation).scores)
    else:
        found = generation.timeline.to_positions(token_derivatives(generator, generation, run.conditioning))
    settings = {"warm_start": kind, "epochs": 1, "learning_rate": 0.0}
    untouched = AudioGenX(start_scale=1.0, **settings).attribute(generator, generation)
    start = masks.warm_start(kind, run).sigmoid()
    for row, values in zip(start, found, strict=True):
        largest = max(values.max().item(), 1e-30)
        expected = [min(0.9, max(0.1, value / largest)) for value in values.tolist()]
        assert row.tolist() == pytest.approx(expected, abs=1e-4)
    torch.testing.assert_close(untouched.scores[0], start[: generation.frames], atol=1e-5, rtol=0)
    spent = {
        "forward_passes": 6,
        "forward_mode_passes": len(found.T) if kind == "gradient" else 0,
    }
    assert {key: getattr(untouched.cost, key) for key in spent} == spent
    halved = AudioGenX(start_scale=0.5, **settings).attribute(generator, generation).scores
    torch.testing.assert_close(halved[0], (start.logit() / 2).sigmoid()[: generation.frames], atol=1e-5, rtol=0)


def test_a_warm_start_has_no_meaning_for_mlps():
    for settings in ({"explainer": "mlp"}, {"mode": "reference"}):
        with pytest.raises(TagxaiError, match="is for explainer=logits"):
            AudioGenX(warm_start="attention", **settings)


def test_several_seeds_give_their_mean_and_their_spread(generator, generation, tmp_path):
    alone = [AudioGenX(seed=seed, noise=True, **QUICK).attribute(generator, generation).scores for seed in (4, 5, 6)]
    together = AudioGenX(seed=4, seeds=3, **QUICK).attribute(generator, generation)
    torch.testing.assert_close(together.scores, torch.stack(alone).mean(0))
    torch.testing.assert_close(together.deviation, torch.stack(alone).std(0, correction=0))
    assert together.deviation.max() > 0
    assert len(together.diagnostics["loss_of_each_seed"]) == 3
    loaded = type(together).load(together.save(tmp_path))
    assert torch.equal(loaded.deviation, together.deviation)
    assert AudioGenX(**QUICK).attribute(generator, generation).deviation is None


def test_several_seeds_without_noise_are_refused_since_all_masks_would_be_the_same():
    with pytest.raises(TagxaiError, match="'seeds' of method 'audiogenx' means nothing with noise=false"):
        AudioGenX(seeds=2, noise=False)
    assert AudioGenX(seeds=2).schedule.noise
    assert not AudioGenX().schedule.noise


def test_likelihoods_are_what_is_left_of_each_outcomes_in_the_mean_of_a_position(run, generator, generation):
    mask = torch.rand(ones(generation).shape, generator=torch.Generator().manual_seed(0))
    plain = generator.forward(generation).log_prob[0]
    found = compare_likelihoods(run, plain, mask)
    for similarity, gate in ((found.factual, mask), (found.counterfactual, 1 - mask)):
        with torch.no_grad(), edit_attention(generator.cross_attention(), Gate(gate)):
            left = (generator.forward(generation).log_prob[0] - plain).exp().clamp(max=1)
        for t in range(generation.positions):
            shares = [
                left[q, t - delay].item()
                for q, delay in enumerate(generation.timeline.delays)
                if 0 <= t - delay < generation.frames
            ]
            assert similarity[t].item() == pytest.approx(sum(shares) / len(shares), abs=1e-5)
    kept = compare_likelihoods(run, plain, ones(generation)).factual
    torch.testing.assert_close(kept, torch.ones(generation.positions), atol=1e-4, rtol=0)


def test_masks_can_be_learned_from_likelihoods(generator, generation):
    hidden, likelihood = (
        AudioGenX(similarity=of, **QUICK).attribute(generator, generation) for of in ("hidden", "likelihood")
    )
    assert likelihood.diagnostics["loss"][-1] < likelihood.diagnostics["loss"][0]
    assert not torch.equal(hidden.scores, likelihood.scores)
    with pytest.raises(TagxaiError, match="likelihood in mode=teacher_forced alone"):
        AudioGenX(similarity="likelihood", mode="reference")
