"""Stable Audio 3 through diffusers, on a small random pipeline, against diffusers' own call."""

import pytest
import torch
from families import answer, own_methods
from pipeline_checks import PROMPT, check_lists, check_masked_generation, requests
from small_pipelines import stable_audio_3

from tagxai.contract.attention import edit_attention
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import load_generator
from tagxai.generators.diffusers.stable_audio_3 import StableAudio3Generator
from tagxai.methods.daam import DAAM
from tagxai.probing.edits import Capture, Gate
from tagxai.testing import check_generator


@pytest.fixture(scope="module")
def pipe():
    return stable_audio_3()


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipelines") / "stable audio 3"
    pipe.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    model = load_generator(f"stable_audio_3:{folder}")
    model.default_duration = 0.8
    return model


@pytest.fixture(scope="module")
def clip(model):
    return model.generate(PROMPT, seed=3)


@pytest.mark.parametrize("seconds", [0.6, 1.0])
@pytest.mark.parametrize("settings", [{}, {"guidance_scale": 3.0}, {"guidance_scale": 2.0, "negative_prompt": "wind"}])
def test_a_clip_is_the_one_that_diffusers_makes_from_its_seed(model, pipe, seconds, settings):
    agrees(model, pipe, seconds, settings)


def test_a_checkpoint_that_is_not_distilled_takes_straight_steps():
    pipe = stable_audio_3(distilled=False)
    model = StableAudio3Generator(pipe)
    assert model.default_denoising_steps == 100
    agrees(model, pipe, 0.6, {"denoising_steps": 8, "guidance_scale": 3.0})


def test_a_small_checkpoint_has_plain_attention():
    """Small-Music and Small-SFX, unlike medium: parity, a gate of ones, masked generation, and weights of softmax."""
    pipe = stable_audio_3(differential=False)
    model = StableAudio3Generator(pipe)
    agrees(model, pipe, 0.6, {})
    check_masked_generation(model, frames=12, duration=0.6)
    clip, cross, seen = model.generate(PROMPT, duration=0.6, seed=3), model.cross_attention(), Capture(keep_heads=True)
    expected = model.forward(clip)
    with edit_attention(cross, seen), edit_attention(cross, Gate(torch.ones(clip.positions, len(clip.tokens)))):
        gated = model.forward(clip)
    torch.testing.assert_close(gated.hidden, expected.hidden, atol=1e-5, rtol=1e-5)
    assert not any(site.signed for site in cross)
    assert seen.weights().min() > 0
    assert seen.weights().sum(-1).max() < 1  # the rest is padding's


def agrees(model, pipe, seconds, settings):
    clip = model.generate(PROMPT, duration=seconds, seed=3, **settings)
    asked = {"num_inference_steps" if key == "denoising_steps" else key: value for key, value in settings.items()}
    latents, sound = (
        pipe(PROMPT, seconds, **asked, generator=torch.Generator().manual_seed(3), output_type=kind).audios
        for kind in ("latent", "pt")
    )
    torch.testing.assert_close(clip.record["latents"], latents[0].T, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(clip.waveform, sound[0], atol=1e-4, rtol=1e-4)


def test_a_gate_of_ones_is_the_plain_pass_and_weights_are_differences(model, clip):
    cross, shape = model.cross_attention(), (clip.positions, len(clip.tokens))
    seen, expected = Capture(keep_layers=True, keep_heads=True), model.forward(clip)
    with edit_attention(cross, seen), edit_attention(cross, Gate(torch.ones(shape))):
        gated = model.forward(clip)
    torch.testing.assert_close(gated.hidden, expected.hidden, atol=1e-5, rtol=1e-5)
    assert all(site.signed for site in cross)
    assert seen.weights().min() < 0 < seen.weights().max()


def test_a_map_of_daam_is_zero_where_a_word_has_a_negative_weight(model, clip):
    seen = Capture()
    with torch.no_grad(), edit_attention(model.cross_attention(), seen):
        model.forward(clip)
    weights = seen.weights()[0]
    found = DAAM().attribute(model, clip)
    (dog,) = (unit for unit in found.words() if unit.text == "dog")
    expected = weights[:, list(dog.tokens)].mean(1)
    assert expected.min() < 0 < expected.max()
    expected = expected.clamp(min=0) / expected.max()
    torch.testing.assert_close(found.scores[0, :, dog.tokens[0]], expected, atol=1e-5, rtol=1e-4)


def test_masked_generation_is_the_masked_pass_at_every_step(folder):
    check_masked_generation(load_generator(f"stable_audio_3:{folder}"), frames=12, duration=0.6)


@pytest.mark.parametrize("together", [False, True])
def test_clips_of_a_list_are_those_of_one_by_one_calls(model, together, monkeypatch):
    monkeypatch.setattr(model, "row_by_row", together, raising=False)
    check_lists(model, requests(3))


def test_it_keeps_the_contract(model):
    check_generator(model)


def test_at_least_18_methods_run(model, clip):
    answers = {name: answer(name, model, clip) for name in own_methods()}
    assert sum(each == "yes" for each in answers.values()) >= 18, answers


def test_a_folder_of_stable_audio_3_is_not_one_of_stable_audio(folder):
    with pytest.raises(TagxaiError, match=r"does not hold a StableAudioPipeline: .*'stable_audio_3' reads it$"):
        load_generator(f"stable_audio:{folder}")
