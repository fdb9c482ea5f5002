"""AudioGenX against its own definition (Kang et al., AAAI 2025)."""

import math
from types import SimpleNamespace

import pytest
import torch
from masks_by_word import ones

from tagxai.contract.attention import edit_attention
from tagxai.errors import TagxaiError
from tagxai.methods.audiogenx import AudioGenX, masks
from tagxai.methods.audiogenx.objective import Similarity, compare
from tagxai.probing.edits import Gate

QUICK = {"epochs": 3}


@pytest.fixture(scope="module")
def target(generator, generation):
    return generator.hidden_states(generation)[0]


def test_teacher_forced_has_cosine_one_to_its_target_with_a_gate_of_ones_at_every_step(run, generation, target):
    factual, _ = compare(run, target, ones(generation))
    torch.testing.assert_close(factual, torch.ones(generation.positions), atol=1e-5, rtol=0)


def test_the_reference_mode_has_not(run, generation, target):
    """Step-isolated replay has no audio context: only step 0, which has none anyway, meets its target."""
    factual, _ = compare(run, target, ones(generation), isolated=True)
    assert factual[0] == pytest.approx(1, abs=1e-5)
    assert factual[1:].max() < 1 - 1e-4


def test_the_counterfactual_of_a_mask_is_the_factual_of_one_minus_it(run, generation, target):
    mask = torch.rand(ones(generation).shape, generator=torch.Generator().manual_seed(0))
    there, back = (compare(run, target, m) for m in (mask, 1 - mask))
    torch.testing.assert_close(there.factual, back.counterfactual, atol=1e-5, rtol=0)


def test_the_loss_is_the_papers():
    method = AudioGenX(alpha=0.5, beta=2.0, smoothness=0.0)
    similarity = Similarity(torch.tensor([0.9, 0.8]), torch.tensor([0.3, 0.1]))
    mask = torch.tensor([[0.5, 0.0], [1.0, 0.25]])
    expected = -(0.9 + 0.8) + (0.3 + 0.1) + 0.5 * 1.75 + 2.0 * math.sqrt(0.25 + 1 + 0.0625)
    assert method.loss(similarity, mask.logit()).item() == pytest.approx(expected)


@pytest.mark.parametrize("explainer", ["logits", "mlp"])
def test_the_mask_is_read_out_without_noise_and_repeats_bit_for_bit(generator, generation, explainer):
    method = AudioGenX(explainer=explainer, noise=True, hidden_units=8, **QUICK)
    first, again = (method.attribute(generator, generation) for _ in range(2))
    assert torch.equal(first.scores, again.scores)
    other = AudioGenX(explainer=explainer, noise=True, hidden_units=8, seed=1, **QUICK).attribute(generator, generation)
    assert not torch.equal(first.scores, other.scores)


def test_the_batched_explainer_is_one_mlp_per_step(run, generation, target):
    """Linear - PReLU - Linear of step 5, by hand, from that step's own weights."""
    embeddings = run.conditioning.embeddings[0]
    explain, weights = masks.mlps(generation.positions, embeddings, 8, torch.Generator().manual_seed(0))
    first, first_bias, slope, second, second_bias = (weight[5] for weight in weights)
    layer = torch.nn.functional.prelu(embeddings @ first + first_bias, slope.flatten())
    torch.testing.assert_close(explain()[5], (layer @ second + second_bias)[:, 0])
    assert explain().shape == ones(generation).shape


def test_learning_lowers_the_loss_and_stops_early_when_it_no_longer_does(generator, generation):
    learned = AudioGenX(epochs=200, noise=False, patience=5).attribute(generator, generation)
    losses = learned.diagnostics["loss"]
    assert losses[-1] < losses[0]
    assert len(losses) < 200
    assert len(AudioGenX(patience=0, epochs=30).attribute(generator, generation).diagnostics["loss"]) == 30


def test_gradients_reach_only_the_explainer(generator, generation):
    AudioGenX(**QUICK).attribute(generator, generation)
    assert all(parameter.grad is None for parameter in generator.model.parameters())


def test_a_token_that_alone_drives_the_model_gets_the_largest_mask(generator, generation):
    """Ground truth by construction: with all other tokens' attention cut, only token 3 can matter."""
    only = torch.zeros_like(ones(generation))
    only[:, 3] = 1
    with edit_attention(generator.cross_attention(), Gate(only)):
        learned = AudioGenX(noise=False, epochs=20, beta=0.01).attribute(generator, generation)
    assert learned.per_token()[3].score == max(score.score for score in learned.per_token())


def test_the_reference_mode_explains_too_and_its_loss_is_told_teacher_forced(generator, generation):
    reference = AudioGenX(mode="reference", hidden_units=8, **QUICK).attribute(generator, generation)
    assert reference.diagnostics["trainable_parameters"] > 8 * generation.positions
    assert math.isfinite(reference.diagnostics["paper_loss_teacher_forced"])
    assert reference.settings["mode"] == "reference"


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"temperature": 0.0}, {"patience": -1}, {"hidden_units": 0}, {"seeds": 0}, {"smoothness": -1.0}],
)
def test_hyper_parameters_out_of_range_are_one_sentence(wrong):
    with pytest.raises(TagxaiError, match="must be at least"):
        AudioGenX(**wrong)


def test_options_are_read_from_text():
    method = AudioGenX.configure({"epochs": "7", "noise": "no", "mode": "reference", "explainer": "none"})
    assert (method.epochs, method.noise, method.mode, method.explainer) == (7, False, "reference", None)
    with pytest.raises(TagxaiError, match="did you mean 'epochs'"):
        AudioGenX.configure({"epoch": "7"})
    with pytest.raises(TagxaiError, match="takes int, not 'many'"):
        AudioGenX.configure({"epochs": "many"})
    with pytest.raises(TagxaiError, match="choices: reference, teacher_forced"):
        AudioGenX.configure({"mode": "student"})


def test_the_mask_that_is_read_out_is_the_probability_itself(generator, generation):
    """With nothing learned, p is 0.5 everywhere; any draw would scatter around it."""
    untouched = AudioGenX(epochs=1, learning_rate=0.0, noise=True, warm_start="half").attribute(generator, generation)
    assert (untouched.scores == 0.5).all()


def test_the_reference_mode_learns_from_isolated_steps(generator, generation):
    same = {"explainer": "logits", "epochs": 1, "alpha": 0.0}
    losses = [
        AudioGenX(mode=mode, **same).attribute(generator, generation).diagnostics["loss"][0]
        for mode in ("teacher_forced", "reference")
    ]
    assert abs(losses[0] - losses[1]) > 1e-3


def test_the_temperature_sharpens_the_masks_that_are_drawn():
    logits = torch.tensor([[2.0, -2.0]])
    sharp, soft = (masks.draw(logits, t, None) for t in (0.1, 1.0))
    torch.testing.assert_close(soft, logits.sigmoid())
    torch.testing.assert_close(sharp, (logits * 10).sigmoid())


def test_weight_decay_draws_logits_to_nothing(generator, generation):
    settings = {"explainer": "logits", "noise": False, "epochs": 30, "patience": 0}
    free, drawn = (AudioGenX(weight_decay=d, **settings).attribute(generator, generation).scores for d in (0.0, 10.0))
    assert (drawn - 0.5).abs().mean() < (free - 0.5).abs().mean()


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "student"},
        {"explainer": "tree"},
        {"warm_start": "cold"},
        {"distribution": "flat"},
        {"alpha": -1.0},
        {"tolerance": -1.0},
    ],
)
def test_values_that_are_no_choice_are_refused_in_python_too(wrong):
    fields = SimpleNamespace(**{**vars(AudioGenX()), **wrong})  # past the type check that only runs in tests
    with pytest.raises(TagxaiError, match=r"choices|at least"):
        AudioGenX.__post_init__(fields)


def test_the_reference_mode_runs_all_of_the_papers_epochs():
    assert (AudioGenX(mode="reference").schedule.epochs, AudioGenX(mode="reference").schedule.patience) == (50, 0)
    assert AudioGenX(mode="reference", patience=3).schedule.patience == 3
    assert AudioGenX(explainer="mlp").schedule.noise  # the paper draws


def test_what_was_used_is_told(generator, generation):
    used = AudioGenX(**QUICK).attribute(generator, generation).settings
    assert {name: used[name] for name in ("noise", "warm_start", "adam_beta1", "patience", "epochs")} == {
        "noise": False,
        "warm_start": "value_zeroing",
        "adam_beta1": 0.5,
        "patience": 5,
        "epochs": 3,
    }
