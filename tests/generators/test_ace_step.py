"""ACE-Step through diffusers, on a small random pipeline, against diffusers' own call."""

import shutil

import pytest
import torch
from families import answer, own_methods
from pipeline_checks import (
    PROMPT,
    as_pickle,
    check_lists,
    check_lower_precision,
    check_masked_generation,
    check_refused,
    index,
    requests,
)
from small_pipelines import ace_step

from tagxai.contract.attention import edit_attention
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import load_generator
from tagxai.generators.diffusers.ace_step import AceStepGenerator
from tagxai.probing.edits import Capture, Gate
from tagxai.scoring import ways_in
from tagxai.testing import check_generator

LYRICS = "[verse]\nrain, rain\ngo away"


@pytest.fixture(scope="module")
def pipe():
    return ace_step()


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipelines") / "ace step"
    pipe.save_pretrained(folder)
    return folder


def loaded(name, folder):
    model = load_generator(f"{name}:{folder}")
    model.default_duration = 0.7
    return model


@pytest.fixture(scope="module")
def model(folder):
    return loaded("ace_step", folder)


@pytest.fixture(scope="module")
def lyrics_model(folder):
    return loaded("ace_step_lyrics", folder)


@pytest.fixture(scope="module")
def clip(model):
    return model.generate(PROMPT, seed=3)


def noise(model, seconds):
    return model.noise(model.timeline(seconds), torch.Generator().manual_seed(3))[None]


def agrees(clip, pipe, seconds, caption=PROMPT, **asked):
    """diffusers draws its noise frames first, as the generator does, so that a seed is enough."""
    latents, sound = (
        pipe(
            caption, audio_duration=seconds, generator=torch.Generator().manual_seed(3), output_type=kind, **asked
        ).audios
        for kind in ("latent", "pt")
    )
    torch.testing.assert_close(clip.record["latents"], latents[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(clip.waveform, sound[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seconds", [0.65, 1.5, 12.0])  # an odd number of frames; two figures
@pytest.mark.parametrize("settings", [{}, {"lyrics": LYRICS, "vocal_language": "zh"}, {"shift": 1.0}])
def test_a_clip_is_the_one_that_diffusers_makes_from_its_seed(model, pipe, seconds, settings):
    agrees(model.generate(PROMPT, duration=seconds, seed=3, **settings), pipe, seconds, **settings)


def test_a_checkpoint_that_is_not_turbo_is_guided(tmp_path_factory):
    pipe = ace_step(turbo=False)
    model = AceStepGenerator(pipe)
    assert (model.default_denoising_steps, model.default_guidance_scale) == (50, 7.0)
    clip = model.generate(PROMPT, duration=0.7, seed=3, denoising_steps=8)
    agrees(clip, pipe, 0.7, num_inference_steps=8, guidance_scale=7.0)


def test_a_turbo_checkpoint_takes_no_guidance(model):
    with pytest.raises(TagxaiError, match="guidance_scale must be a number from 1 to 1, not 3"):
        model.generate(PROMPT, guidance_scale=3.0)


def test_lyrics_are_explained_apart_in_the_same_clip(model, lyrics_model, pipe):
    """As the prompt or as a setting, they make one clip; each generator shows the tokens of its own text."""
    clip = model.generate(PROMPT, seed=3, lyrics=LYRICS, vocal_language="zh")
    other = lyrics_model.generate(LYRICS, seed=3, caption=PROMPT, vocal_language="zh")
    torch.testing.assert_close(other.record["latents"], clip.record["latents"], atol=1e-5, rtol=1e-5)
    agrees(other, pipe, 0.7, lyrics=LYRICS, vocal_language="zh")
    for each, text in ((clip, PROMPT), (other, LYRICS)):
        own = [text[slice(*span)] for span in each.spans if span[1] > span[0]]
        assert "".join("".join(own).split()) == "".join(text.split())
    seen, expected = Capture(), lyrics_model.forward(other)
    with edit_attention(lyrics_model.cross_attention(), seen):
        lyrics_model.forward(other)
    assert seen.weights().shape == (1, other.positions, len(other.tokens))
    with edit_attention(lyrics_model.cross_attention(), Gate(torch.zeros(other.positions, len(other.tokens)))):
        assert (lyrics_model.forward(other).hidden - expected.hidden).abs().max() > 0.01  # they are heard


def test_hidden_keys_are_as_the_clip_has_them_and_scaled_words_stay_scaled(model, clip):
    """A pass reads its own length, whatever length the prompt was encoded with, and a method's scaled embeddings."""
    conditioning = model.encode_prompt([PROMPT, "a bell rings"])
    timeline, settings = model.timeline(0.7), dict(clip.settings)
    whole = model.completed(conditioning, settings, timeline)
    for factor in (0.5, 0.0):
        scaled = Conditioning(
            factor * conditioning.embeddings,
            conditioning.mask,
            conditioning.tokens,
            conditioning.spans,
            conditioning.extras,
        )
        found = model.completed(scaled, settings, timeline)
        torch.testing.assert_close(found.embeddings, factor * whole.embeddings)
        torch.testing.assert_close(found.extras["hidden"], whole.extras["hidden"])
    assert not torch.equal(whole.embeddings, conditioning.embeddings)  # the end has read the clip's length


def test_a_gate_of_ones_is_the_plain_pass(model, clip):
    cross, shape = model.cross_attention(), (clip.positions, len(clip.tokens))
    expected = model.forward(clip)
    with edit_attention(cross, Gate(torch.ones(shape))):
        gated = model.forward(clip)
    torch.testing.assert_close(gated.hidden, expected.hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gated.log_prob, expected.log_prob, atol=1e-5, rtol=1e-5)


def test_a_query_takes_the_mean_of_its_frames_gates(model, clip):
    cross, shape = model.cross_attention(), (clip.positions, len(clip.tokens))
    gate = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    mean = torch.stack([pair.mean(0) for pair in gate.split(2)]).repeat_interleave(2, 0)[: clip.positions]
    assert clip.positions % 2 == 0 or mean[-1].equal(gate[-1])
    hidden = []
    for each in (gate, mean):
        with edit_attention(cross, Gate(each)):
            hidden.append(model.forward(clip).hidden)
    torch.testing.assert_close(*hidden, atol=1e-5, rtol=1e-5)


def test_masked_generation_is_the_masked_pass_at_every_step(folder):
    check_masked_generation(loaded("ace_step", folder), frames=13, duration=0.65)


def test_clips_of_a_list_are_those_of_one_by_one_calls(model):
    check_lists(model, requests(3))


@pytest.mark.parametrize("name", ["ace_step", "ace_step_lyrics"])
def test_it_keeps_the_contract(folder, name):
    check_generator(loaded(name, folder))


@pytest.mark.slow  # as test_methods_on_pipelines.py
def test_at_least_18_methods_run(model, clip):
    answers = {name: answer(name, model, clip) for name in own_methods()}
    assert sum(each == "yes" for each in answers.values()) >= 18, answers
    assert "shows no self-attention frame by frame" in answers["attention_rollout"]


def test_lower_precision_stays_near(folder, model, clip):
    check_lower_precision(load_generator(f"ace_step:{folder}", dtype="bfloat16"), model, clip, 0.03)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (index(_class_name="StableAudioPipeline"), r"not hold a AceStepPipeline: .*'stable_audio' reads it$"),
        (lambda copy: shutil.rmtree(copy / "condition_encoder"), "the AceStepPipeline has no condition_encoder$"),
        (index(transformer=["diffusers", "UNet1DModel"]), "the transformer of .* is a UNet1DModel; expected a AceStep"),
        (
            as_pickle("condition_encoder"),
            r"the condition_encoder of .* is a pickle \(.*\.bin\), and reading that could run code",
        ),
    ],
)
def test_what_is_not_a_whole_pipeline_is_refused_in_one_sentence(folder, tmp_path, change, sentence):
    check_refused("ace_step", folder, tmp_path, change, sentence)


def test_a_scheduler_with_a_shift_of_its_own_is_refused():
    other = ace_step()
    other.scheduler = type(other.scheduler)(num_train_timesteps=1, shift=3.0)
    with pytest.raises(UnsupportedError, match="does not take the network's own noise levels from 1 to 0"):
        AceStepGenerator(other)


def test_a_text_that_is_too_long_is_one_sentence(model):
    with pytest.raises(TagxaiError, match=r"the text has \d+ tokens, .*; expected at most 256"):
        model.generate("a dog barks " * 99)


def test_caption_and_lyrics_are_ways_in_whichever_is_explained(model, lyrics_model):
    """Two generators name them alike; with both closed nothing is said, but for the template's own keys."""
    shared = {"vocal_language": "en", "seed": 3}
    clip = model.generate(PROMPT, lyrics=LYRICS, **shared)
    other = lyrics_model.generate(LYRICS, caption=PROMPT, **shared)
    found, again = ways_in(model, clip), ways_in(lyrics_model, other)
    assert list(found.lost) == ["caption", "lyrics and timbre"]
    assert list(again.lost) == ["lyrics", "caption and timbre"]
    torch.testing.assert_close(again.together, found.together, atol=1e-4, rtol=1e-4)
    assert all(loss.abs().max() > 1e-4 for loss in found.lost.values())
