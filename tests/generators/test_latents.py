"""Models that denoise latents, by the embedded one, against slow definitions."""

import pytest
import torch

from tagxai.contract.attention import edit_attention, scale_values
from tagxai.contract.state import neutral_state
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import load_generator, make_method
from tagxai.generators.latent import FLOW, LatentEmbedded
from tagxai.laboratory.latent_sampling import noise_levels, trajectory
from tagxai.probing.edits import Gate

PROMPT = "a dog barks while rain falls"
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(scope="module")
def clip(latent):
    return latent.generate(PROMPT, duration=0.6, seed=3)


@pytest.fixture(scope="module")
def fully_recorded():
    """The same model, which runs all of 16 steps again."""
    model = load_generator("latent")
    model.levels = 16
    return model


def velocities(model, clip, prompt=None):
    """The network at each recorded level, one row at a time, with the text encoder's states as they are."""
    inputs = model.tokenizer([prompt or clip.prompt], return_tensors="pt")
    text = model.text_encoder(**inputs).last_hidden_state
    text = text if prompt is None or prompt else torch.zeros_like(text)
    record = clip.record
    with torch.no_grad():
        rows = [
            model.flow(noisy[None], level[None], text, inputs.attention_mask.bool())
            for noisy, level in zip(record["trajectory"], record["levels"], strict=True)
        ]
    return torch.cat(rows)


def test_a_clip_is_the_one_that_the_laboratorys_own_sampler_makes(latent):
    clip = latent.generate(PROMPT, seed=5)
    inputs = latent.tokenizer([PROMPT], return_tensors="pt")
    noise = torch.randn(75, 64, generator=torch.Generator().manual_seed(5))[None]
    with torch.no_grad():
        text = latent.text_encoder(**inputs).last_hidden_state
        steps = list(trajectory(latent.flow, noise, text, inputs.attention_mask.bool()))
        sound = latent.codec.decoder((steps[-1] * latent.flow.scale).transpose(1, 2))[0]
    torch.testing.assert_close(clip.record["latents"], steps[-1][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(clip.waveform, sound, atol=1e-4, rtol=1e-4)
    recorded = [steps[step][0] for step in (0, 5, 10, 15)]
    torch.testing.assert_close(clip.record["trajectory"], torch.stack(recorded), atol=1e-4, rtol=1e-4)
    assert clip.record["levels"].tolist() == noise_levels(16, 3.0)[[0, 5, 10, 15]].tolist()


def test_log_probabilities_are_errors_of_the_velocity_that_leads_to_the_clip(latent, clip):
    """Literally: the straight line from each recorded noisy latent to the final one, and who is how far from it."""
    record, found = clip.record, latent.forward(clip).log_prob[0]
    for level, (noisy, t, said) in enumerate(
        zip(record["trajectory"], record["levels"], velocities(latent, clip), strict=True)
    ):
        for frame in (0, 7, 14):
            wanted = (noisy[frame] - record["latents"][frame]) / t
            expected = -sum((a - b) ** 2 for a, b in zip(said[frame].tolist(), wanted.tolist(), strict=True)) / 2
            assert found[level, frame].item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_guided_branch_mixes_with_the_clips_own_scale(latent):
    clip = latent.generate(PROMPT, duration=0.6, seed=3, guidance_scale=1.7)
    record = clip.record
    null = latent.flow.velocity(  # zeroed text adds nothing
        latent.flow.hidden(record["trajectory"], record["levels"], torch.zeros(4, 1, 192), torch.ones(4, 1).bool()),
        record["trajectory"],
        record["levels"],
    )
    mixed = null + 1.7 * (velocities(latent, clip) - null)
    wanted = (record["trajectory"] - record["latents"]) / record["levels"][:, None, None]
    expected = -0.5 * (mixed - wanted).square().sum(-1)
    torch.testing.assert_close(latent.forward(clip, branch="guided").log_prob[0], expected, atol=1e-3, rtol=1e-4)
    assert latent.forward(clip, branch="guided").log_prob[0, -1].abs().max() < 1e-5  # the step that made the clip


def test_gates_of_one_and_of_zero_are_the_plain_pass_and_the_unconditional_branch(latent, clip):
    cross, tokens = latent.cross_attention(), len(clip.tokens)
    for value, branch in ((1.0, "conditional"), (0.0, "unconditional")):
        expected = latent.forward(clip, branch=branch)
        with edit_attention(cross, Gate(torch.full((clip.positions, tokens), value))):
            gated = latent.forward(clip)
        torch.testing.assert_close(gated.hidden, expected.hidden, **TOLERANCE)
        torch.testing.assert_close(gated.log_prob, expected.log_prob, **TOLERANCE)
        with scale_values(cross, torch.full((1, tokens), value)):
            scaled = latent.forward(clip)
        torch.testing.assert_close(scaled.hidden, expected.hidden, **TOLERANCE)


def test_masked_generation_is_the_masked_pass_at_every_step(fully_recorded):
    """Each step's velocity, by the step that it made, against the network run again under the mask."""
    model = fully_recorded
    tokens = len(model.encode_prompt([PROMPT]).tokens[0])
    mask = torch.rand(15, tokens, generator=torch.Generator().manual_seed(0))
    clip = model.generate(PROMPT, duration=0.6, seed=2, branch="conditional", mask=mask)
    places = torch.cat([clip.record["trajectory"], clip.record["latents"][None]])
    lengths = noise_levels(16, 3.0).diff()
    made = places.diff(dim=0) / lengths[:, None, None]
    wanted = (clip.record["trajectory"] - clip.record["latents"]) / clip.record["levels"][:, None, None]
    expected = -0.5 * (made - wanted).square().sum(-1)
    with edit_attention(model.cross_attention(), Gate(mask)):
        found = model.forward(clip).log_prob[0]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)
    assert found[-1].abs().max() < 1e-5
    assert (model.forward(clip).log_prob[0] - expected).abs().max() > 0.1  # the mask matters


def test_guidance_of_one_runs_the_conditional_branch_alone(latent, monkeypatch):
    branches = []
    own = LatentEmbedded.predicted
    monkeypatch.setattr(
        LatentEmbedded,
        "predicted",
        lambda self, *given: (branches.append(given[-1].conditional_rows), own(self, *given))[1],
    )
    one = latent.generate(PROMPT, duration=0.2, guidance_scale=1.0, denoising_steps=4)
    assert branches == [None] * 4
    assert torch.equal(
        one.record["latents"],
        latent.generate(PROMPT, duration=0.2, branch="conditional", denoising_steps=4).record["latents"],
    )


def test_words_are_not_scored_by_the_guided_branch(latent, clip):
    for name in ("occlusion", "input_x_gradient"):
        with pytest.raises(UnsupportedError, match="guidance overshoots"):
            make_method(name, {"target": "guided"}).attribute(latent, clip)


def test_the_distance_of_two_clips_is_that_of_their_latents(latent, clip):
    other = latent.generate("a dog barks", duration=0.6, seed=3)
    assert latent.distance(clip, clip).tolist() == [0.0] * 15
    difference = clip.record["latents"][4] - other.record["latents"][4]
    expected = sum(each**2 for each in difference.tolist()) / 64
    assert latent.distance(clip, other)[4].item() == pytest.approx(expected**0.5, rel=1e-5)


def test_too_few_steps_for_the_recorded_levels_are_one_sentence(latent):
    with pytest.raises(TagxaiError, match="denoising_steps must be a whole number from 4 to 1000, not 3"):
        latent.generate(PROMPT, denoising_steps=3)


def test_a_folder_without_a_flow_is_one_sentence(tmp_path):
    with pytest.raises(
        TagxaiError, match=r"no flow in .* it has no config\.json; expected a folder that training wrote$"
    ):
        LatentEmbedded.load(str(tmp_path))
    (tmp_path / "config.json").write_bytes((FLOW / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(TagxaiError, match=r"the flow in .* cannot be read"):
        LatentEmbedded.load(str(tmp_path))


def test_lower_precision_stays_near_and_states_are_float32(latent, clip):
    low = LatentEmbedded.load(dtype="bfloat16")
    with neutral_state(low), torch.no_grad():
        found, expected = low.forward(clip), latent.forward(clip)
    assert found.hidden.dtype == found.log_prob.dtype == torch.float32
    assert (found.log_prob - expected.log_prob).abs().mean() < 0.05 * expected.log_prob.abs().mean()
    assert not torch.equal(found.hidden, expected.hidden)
