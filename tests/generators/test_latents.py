"""Models that denoise latents, by the embedded one: its base, its sites and its batches, against slow definitions."""

import random
from dataclasses import dataclass, replace

import pytest
import torch
from small_latent import small_latent

from tagxai.contract.attention import Position, at, edit_attention, scale_values
from tagxai.contract.request import Request
from tagxai.contract.state import neutral_state
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import load_generator, make_method
from tagxai.generators.latent import FLOW, FlowSite, LatentEmbedded
from tagxai.generators.latents import batches, denoising
from tagxai.generators.latents.sites import LatentSite, showing
from tagxai.laboratory.latent_sampling import noise_levels, trajectory
from tagxai.probing.edits import Capture, Gate
from tagxai.testing import ConformanceError, check_generator

PROMPT = "a dog barks while rain falls"
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(scope="module")
def latent():
    return load_generator("latent")


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


def mix(seed, count=8):
    """Requests that differ in all that they can."""
    drawn, requests = random.Random(seed), []
    for number in range(count):
        prompt, duration = drawn.choice((PROMPT, "a loud bell then a bird sings twice")), drawn.choice((0.4, 0.6))
        branch = drawn.choice(("guided", "guided", "conditional", "unconditional"))
        settings = drawn.choice(({"denoising_steps": 4}, {"denoising_steps": 4, "guidance_scale": 1.5}))
        requests.append(Request(prompt, duration, number, None, branch, settings))
    return requests


def test_clips_of_any_mix_are_those_of_one_by_one_calls(latent):
    requests = mix(0)
    for asked, made in zip(requests, latent.generate_many(requests), strict=True):
        alone = latent.generate_one(asked)
        assert made.sounds_as(alone)
        assert torch.equal(made.waveform, alone.waveform)
        assert made.settings == alone.settings


def alike(count, **changed):
    return [Request(PROMPT, 0.6, seed, settings={"denoising_steps": 4}, **changed) for seed in range(count)]


def sizes_of(latent, requests, monkeypatch):
    sizes = []
    own = denoising.denoise
    monkeypatch.setattr(
        batches, "denoise", lambda model, jobs, on_step: (sizes.append(len(jobs)), own(model, jobs, on_step))[1]
    )
    latent.generate_many(requests)
    return sizes


def test_clips_of_one_shape_share_a_batch_where_that_changes_no_bit(latent, monkeypatch):
    assert sizes_of(latent, alike(5), monkeypatch) == [5]  # one thread, as in all tests
    monkeypatch.setattr(batches, "_agree", lambda *shape: False)
    assert sizes_of(latent, alike(3), monkeypatch) == [1, 1, 1]


def test_masks_of_a_batch_act_each_on_its_own_clip(latent):
    tokens = len(latent.encode_prompt([PROMPT]).tokens[0])
    masks = torch.rand(3, 15, tokens, generator=torch.Generator().manual_seed(1))
    requests = [replace(request, mask=mask) for request, mask in zip(alike(3), masks, strict=True)]
    for asked, made in zip(requests, latent.generate_many(requests), strict=True):
        assert made.sounds_as(latent.generate_one(asked))


def test_out_of_memory_halves_the_batch_and_loses_no_clip(latent, monkeypatch):
    tried = []
    own = denoising.denoise

    def scarce(model, jobs, on_step):
        tried.append(len(jobs))
        if len(jobs) > 2:
            on_step(len(jobs))
            raise torch.OutOfMemoryError("no memory")
        return own(model, jobs, on_step)

    monkeypatch.setattr(batches, "denoise", scarce)
    reports = []
    made = latent.generate_many(alike(5), on_progress=reports.append)
    assert tried == [5, 3, 2, 2, 1]
    assert [clip.seed for clip in made] == [0, 1, 2, 3, 4]
    assert reports[-1].done == reports[-1].total == 20


def test_the_callers_own_edits_see_one_clip_at_a_time(latent, monkeypatch):
    seen = Capture(keep_heads=True)
    with edit_attention(latent.cross_attention(), seen):
        assert sizes_of(latent, alike(2), monkeypatch) == [1, 1]
    assert seen.weights().shape[1] == 16  # 4 noise levels of 4 heads


@dataclass(frozen=True)
class Plain(LatentSite):
    def watched(self):
        raise NotImplementedError


def at_levels(levels):
    return at(Position(levels=levels))


def test_edits_see_frames_and_prompt_tokens_alone_and_other_queries_take_the_mean_gate():
    """Two prompts at two levels; a query before 3 frames, one after them; 2 tokens before one of padding."""
    random_state = torch.Generator().manual_seed(0)
    weights = torch.rand(4, 3, 5, 3, generator=random_state).softmax(-1)
    gates = torch.rand(2, 3, 2, generator=random_state)
    site = Plain("x.cross", 0, "cross", 6, None, levels=2, prepended=1)
    seen = []

    def look(site, shown):
        seen.append(shown)
        return shown * gates[:, None]

    with edit_attention_unwatched(site, look), at_levels(2), showing(3, 2):
        edited = site.edited(weights, weights.log(), torch.rand(4, 3, 3, 7))
    (shown,) = seen
    assert shown.shape == (2, 6, 3, 2)
    for row in range(4):
        prompt, level = divmod(row, 2)
        for head in range(3):
            assert torch.equal(shown[prompt, level * 3 + head], weights[row, head, 1:4, :2])
            for query in range(5):
                gate = gates[prompt, query - 1] if 1 <= query < 4 else gates[prompt].mean(0)
                torch.testing.assert_close(edited[row, head, query, :2], weights[row, head, query, :2] * gate)
                assert edited[row, head, query, 2] == weights[row, head, query, 2]


def test_self_attention_shows_frames_by_frames():
    weights = torch.rand(2, 3, 5, 5)
    site = Plain("x.self", 0, "self", 6, None, levels=2, prepended=1)
    with edit_attention_unwatched(site, lambda site, shown: 0 * shown), at_levels(2), showing(3, 2):
        edited = site.edited(weights, weights, torch.rand(2, 3, 5, 7))
    expected = weights.clone()
    expected[:, :, 1:4, 1:4] = 0
    assert torch.equal(edited, expected)


def edit_attention_unwatched(site, edit):
    from tagxai.contract.attention import _entered

    return _entered([site], edit, None)


class OneLevel(FlowSite):
    """Shows methods the noisiest level, and closes the others alike, as an adapter may that knows of no levels."""

    def edited(self, weights, logits, values):
        from tagxai.contract.attention import position, run_edits

        levels = position().levels
        first = [x.unflatten(0, (-1, levels))[:, 0] for x in (weights, logits, values)]
        gate = run_edits(self, *first) / first[0]
        return weights * gate.repeat_interleave(levels, 0)


@pytest.mark.parametrize("says", [1, 4])
def test_a_generator_that_shows_one_noise_level_is_caught(latent, says):
    class Careless(LatentEmbedded):
        """Looks like the embedded flow."""

        def attention_sites(self):
            return [
                OneLevel(s.name, s.layer, s.kind, s.heads * says // 4, s.module, s.layer_module, levels=says)
                for s in super().attention_sites()
            ]

    model = small_latent(Careless, levels=4)
    with pytest.raises(ConformanceError, match=r"2 heads at 1 noise levels.*runs a clip at 4|has 8 heads, but shows"):
        check_generator(model)


def backwards(rows):
    return rows.unflatten(0, (-1, 4)).flip(1).flatten(0, 1) if len(rows) > 1 else rows


def test_a_generator_that_takes_one_level_for_another_is_caught(latent):
    class Swapped(FlowSite):
        def edited(self, weights, logits, values):
            turned = [
                x.unflatten(0, (-1, 4)).flip(1).flatten(0, 1) if len(x) > 1 else x for x in (weights, logits, values)
            ]
            edited = super().edited(*turned)
            return edited.unflatten(0, (-1, 4)).flip(1).flatten(0, 1) if len(edited) > 1 else edited

    class Careless(LatentEmbedded):
        """Looks like the embedded flow."""

        def attention_sites(self):
            return [
                Swapped(s.name, s.layer, s.kind, s.heads, s.module, s.layer_module, levels=4)
                for s in super().attention_sites()
            ]

    with pytest.raises(ConformanceError, match="noise level 0 that are not its own"):
        check_generator(small_latent(Careless, levels=4))


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
