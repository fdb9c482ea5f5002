"""AudioLDM2 through diffusers, on a small random pipeline, against diffusers' own call."""

import shutil
from dataclasses import replace

import pytest
import torch
from changed_weights import without_tensor
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
from small_pipelines import audioldm2

from tagxai.contract.attention import edit_attention
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import load_generator
from tagxai.generators.diffusers.audioldm2 import AudioLDM2Generator
from tagxai.probing.edits import Gate
from tagxai.scoring import ways_in
from tagxai.testing import check_generator

LONG = "wind, and a very long bell that rings while a dog barks and rain falls"
STEPS = {"denoising_steps": 8}


@pytest.fixture(scope="module")
def pipe():
    return audioldm2()


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipelines") / "audioldm 2"
    pipe.save_pretrained(folder)
    return folder


def loaded(folder, **options):
    model = load_generator(f"audioldm2:{folder}", **options)
    model.default_duration, model.default_denoising_steps = 0.65, 8  # an odd number of frames
    return model


@pytest.fixture(scope="module")
def model(folder):
    return loaded(folder)


@pytest.fixture(scope="module")
def clip(model):
    return model.generate(PROMPT, seed=3)


@pytest.mark.parametrize("seconds", [0.65, 1.0])
@pytest.mark.parametrize(
    "settings", [{}, {"negative_prompt": "wind"}, {"negative_prompt": LONG, "guidance_scale": 2.0}]
)
def test_a_clip_is_the_one_that_diffusers_makes_from_its_seed(model, pipe, seconds, settings):
    clip = model.generate(PROMPT, duration=seconds, seed=3, **settings)
    asked = {"guidance_scale": 3.5, "num_inference_steps": 8, **settings}
    latents, sound = (
        pipe(
            PROMPT,
            audio_length_in_s=seconds,
            generator=torch.Generator().manual_seed(3),
            output_type=kind,
            **asked,
        ).audios
        for kind in ("latent", "pt")
    )
    own = clip.record["latents"].unflatten(1, (4, 4)).transpose(0, 1)  # channels, frames, bands
    torch.testing.assert_close(own, latents[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(clip.waveform, sound, atol=1e-4, rtol=1e-4)


def test_log_probabilities_are_errors_of_the_noise_that_leads_to_the_clip(model, pipe, clip):
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(8)
    record, log_prob = clip.record, model.forward(clip).log_prob[0]
    text = pipe.encode_prompt(PROMPT, "cpu", 1, False)
    for level, (read, t) in enumerate(zip(record["trajectory"], record["levels"], strict=True)):
        wanted = model.target(read[None], record["latents"], t[None])[0]
        led_to = scheduler.step(wanted, int(t), read).pred_original_sample
        torch.testing.assert_close(led_to, record["latents"], atol=1e-4, rtol=1e-4)
        picture = read.unflatten(1, (4, 4)).transpose(0, 1)[None]
        with torch.no_grad():
            said = pipe.unet(
                picture,
                t,
                encoder_hidden_states=text[2],
                encoder_hidden_states_1=text[0],
                encoder_attention_mask_1=text[1],
            ).sample[0]
        error = said.transpose(0, 1).flatten(1) - wanted
        torch.testing.assert_close(log_prob[level], -0.5 * error.square().sum(-1), atol=1e-4, rtol=1e-4)


def test_a_gate_of_ones_is_the_plain_pass(model, clip):
    expected = model.forward(clip)
    with edit_attention(model.cross_attention(), Gate(torch.ones(clip.positions, len(clip.tokens)))):
        gated = model.forward(clip)
    torch.testing.assert_close(gated.hidden, expected.hidden, atol=1e-5, rtol=1e-5)


def test_the_two_doors_are_told_apart(model, clip):
    """Closing both is a pass without text; words removed from the text are gone from both."""
    shapes = {}
    sites = model.attention_sites()
    with edit_attention(sites, lambda site, weights: shapes.setdefault(site.reads, set()).add(weights.shape)):
        plain = model.forward(clip)
    assert {site.reads for site in model.cross_attention()} == {"prompt"}
    heads = sites[0].heads
    assert shapes == {
        "prompt": {(1, heads, clip.positions, len(clip.tokens))},
        "gpt2": {(1, heads, clip.positions, 8)},
    }
    silent = model.encode_prompt([PROMPT])
    silent = type(silent)(
        0 * silent.embeddings, silent.mask, silent.tokens, silent.spans, {"gpt2": 0 * silent.extras["gpt2"]}
    )
    with edit_attention(sites, lambda site, weights: 0 * weights):
        closed = model.forward(clip)
    torch.testing.assert_close(closed.hidden, model.forward(clip, silent).hidden, atol=1e-5, rtol=1e-5)
    for reads in ("prompt", "gpt2"):
        with edit_attention([site for site in sites if site.reads == reads], lambda site, weights: 0 * weights):
            hidden = model.forward(clip).hidden
        assert (hidden - plain.hidden).abs().max() > 0.01 < (hidden - closed.hidden).abs().max()


def test_coarser_levels_take_the_mean_of_their_frames_gates(model, clip):
    shape = clip.positions, len(clip.tokens)
    gate = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    mean = torch.stack([pair.mean(0) for pair in gate.split(2)]).repeat_interleave(2, 0)[: clip.positions]
    coarse = [site for site in model.cross_attention() if site.stride == 2]
    hidden = []
    for each in (gate, mean):
        with edit_attention(coarse, Gate(each)):
            hidden.append(model.forward(clip).hidden)
    torch.testing.assert_close(*hidden, atol=1e-5, rtol=1e-5)
    assert coarse
    assert mean[-1].equal(gate[-1])  # the last query has one frame


def test_masked_generation_is_the_masked_pass_at_every_step(folder):
    check_masked_generation(loaded(folder), frames=13, duration=0.65, matters=0.01)


def test_clips_of_a_list_are_those_of_one_by_one_calls(model):
    check_lists(model, requests(2))


def test_it_keeps_the_contract(folder):
    check_generator(loaded(folder))


@pytest.mark.slow  # as test_methods_on_pipelines.py
def test_at_least_18_methods_run(model, clip):
    answers = {name: answer(name, model, clip) for name in own_methods()}
    assert sum(each == "yes" for each in answers.values()) >= 18, answers


def test_lower_precision_stays_near(folder, model, clip):
    check_lower_precision(loaded(folder, dtype="bfloat16"), model, clip, 0.05)


def test_a_prompt_longer_than_the_text_encoder_reads_is_one_sentence(model):
    with pytest.raises(TagxaiError, match=r"the prompt has \d+ tokens; expected at most 24"):
        model.generate("a dog barks " * 12)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            index(_class_name="AceStepPipeline"),
            r"not hold a AudioLDM2Pipeline: .*'ace_step' and 'ace_step_lyrics' read",
        ),
        (lambda copy: shutil.rmtree(copy / "vocoder"), "the AudioLDM2Pipeline has no vocoder$"),
        (
            index(unet=["diffusers", "UNet2DConditionModel"]),
            "the unet of .* is a UNet2DConditionModel; expected a Audio",
        ),
        (
            as_pickle("language_model", "model.safetensors", "pytorch_model.bin"),
            r"the language_model of .* is a pickle \(.*\.bin\), and reading that could run code",
        ),
        (without_tensor("vocoder/model.safetensors", "conv_post.bias"), "vocoder' lacks 'conv_post.bias', so its w"),
    ],
)
def test_what_is_not_a_whole_pipeline_is_refused_in_one_sentence(folder, tmp_path, change, sentence):
    check_refused("audioldm2", folder, tmp_path, change, sentence)


def test_a_scheduler_of_another_kind_is_refused():
    other = audioldm2()
    other.scheduler = type(other.scheduler).from_config(other.scheduler.config, prediction_type="v_prediction")
    with pytest.raises(UnsupportedError, match="has prediction_type v_prediction; expected epsilon"):
        AudioLDM2Generator(other)


def test_the_share_of_each_door_is_what_the_clip_loses_without_it(model, clip):
    """Each door is given what the empty prompt gives it, and the other is left alone."""
    own, null = model.encode_prompt([PROMPT]), model.null(model.encode_prompt([PROMPT]), clip.settings)
    found, plain = ways_in(model, clip), model.forward(clip).log_prob
    for way, closed in (
        ("tokens of T5", replace(null, extras=own.extras)),
        ("vectors of GPT-2", replace(own, extras=null.extras)),
    ):
        lost = (plain - model.forward(clip, closed).log_prob)[0].mean(-1)
        torch.testing.assert_close(found.lost[way], lost, atol=1e-4, rtol=1e-4)
    both = (plain - model.forward(clip, branch="unconditional").log_prob)[0].mean(-1)
    torch.testing.assert_close(found.together, both, atol=1e-4, rtol=1e-4)
    assert all(loss.abs().max() > 1e-4 for loss in found.lost.values())
