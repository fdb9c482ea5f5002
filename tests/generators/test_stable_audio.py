"""Stable Audio through diffusers, on a small random pipeline, against diffusers' own call."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from changed_weights import with_tensor, without_tensor
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
from small_pipelines import stable_audio

from tagxai.contract.attention import edit_attention
from tagxai.contract.request import Request
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.explaining.loading import load_generator
from tagxai.generators.diffusers.stable_audio import StableAudioGenerator
from tagxai.generators.latents import batches
from tagxai.probing.edits import Gate
from tagxai.testing import check_generator

T5, NORM = "text_encoder/model.safetensors", "encoder.block.0.layer.0.layer_norm.weight"
STEPS = {"denoising_steps": 8, "guidance_scale": 3.0}


@pytest.fixture(scope="module")
def pipe():
    return stable_audio()


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipelines") / "stable audio"
    pipe.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    model = load_generator(f"stable_audio:{folder}")
    model.default_duration, model.default_denoising_steps, model.default_guidance_scale = 0.8, 8, 3.0
    return model


@pytest.fixture(scope="module")
def clip(model):
    return model.generate(PROMPT, seed=3)


@pytest.mark.filterwarnings("ignore:Should have t:UserWarning")  # of diffusers' own noise
@pytest.mark.parametrize("seconds", [0.6, 1.0])
@pytest.mark.parametrize("settings", [{}, {"negative_prompt": "wind"}, {"guidance_scale": 1.0}])
def test_a_clip_is_the_one_that_diffusers_makes_from_its_seed(model, pipe, seconds, settings):
    steps = STEPS | settings
    clip = model.generate(PROMPT, duration=seconds, seed=3, **steps)
    asked = {
        "audio_end_in_s": seconds,
        "num_inference_steps": 8,
        "guidance_scale": steps["guidance_scale"],
        "negative_prompt": steps.get("negative_prompt"),
    }
    latents, sound = (
        pipe(PROMPT, **asked, generator=torch.Generator().manual_seed(3), output_type=kind).audios
        for kind in ("latent", "pt")
    )
    torch.testing.assert_close(clip.record["latents"], latents[0].T, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(clip.waveform, sound[0], atol=1e-4, rtol=1e-4)


def test_log_probabilities_are_errors_of_the_velocity_that_leads_to_the_clip(model, pipe, clip):
    """At each recorded level, diffusers' scheduler turns the wanted velocity into the clip's final latents."""
    scheduler, record = type(pipe.scheduler).from_config(pipe.scheduler.config), clip.record
    scheduler.set_timesteps(8)
    text = torch.zeros(1, 26, 32)
    conditioning = model.encode_prompt([PROMPT])
    text[:, : len(clip.tokens)] = conditioning.embeddings
    timing = pipe.encode_duration(0.0, 0.8, "cpu", False, 1)
    text[:, len(clip.tokens) - 1] = timing[1][:, 0]
    turns = diffusers_turns(pipe, 21)
    for level, (read, t, step) in enumerate(zip(record["trajectory"], record["levels"], (0, 2, 4, 7), strict=True)):
        sigma = scheduler.sigmas[step]
        assert t == scheduler.timesteps[step]
        with torch.no_grad():
            said = pipe.transformer(
                read.T[None],
                t[None],
                encoder_hidden_states=text,
                global_hidden_states=torch.cat(timing, 2),
                rotary_embedding=turns,
                return_dict=False,
            )[0][0].T
        wanted = model.target(read[None], record["latents"], t[None])[0]
        noisy = read * (sigma**2 + 1) ** 0.5
        led_to = scheduler.precondition_outputs(noisy, wanted, sigma)
        torch.testing.assert_close(led_to, record["latents"], atol=1e-4, rtol=1e-4)
        expected = -0.5 * (said - wanted).square().sum(-1)[:16]
        torch.testing.assert_close(model.forward(clip).log_prob[0, level], expected, atol=1e-4, rtol=1e-4)


def diffusers_turns(pipe, length):
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    return get_1d_rotary_pos_embed(pipe.rotary_embed_dim, length, use_real=True, repeat_interleave_real=False)


def test_gates_of_one_and_of_zero_are_the_plain_pass_and_the_unconditional_branch(model, clip):
    cross, shape = model.cross_attention(), (clip.positions, len(clip.tokens))
    passes = [model.forward(clip, branch=branch) for branch in ("conditional", "unconditional")]
    for value, expected in zip((1.0, 0.0), passes, strict=True):
        with edit_attention(cross, Gate(torch.full(shape, value))):
            gated = model.forward(clip)
        torch.testing.assert_close(gated.hidden, expected.hidden, atol=1e-5, rtol=1e-5)
    assert (passes[0].hidden - passes[1].hidden).abs().max() > 0.1  # the text is heard


def test_masked_generation_is_the_masked_pass_at_every_step(folder):
    check_masked_generation(load_generator(f"stable_audio:{folder}"), frames=12, duration=0.6, **STEPS)


@pytest.mark.parametrize("together", [False, True])
def test_clips_of_a_list_are_those_of_one_by_one_calls(model, together, monkeypatch):
    monkeypatch.setattr(model, "row_by_row", together, raising=False)
    tokens = len(model.encode_prompt([PROMPT]).tokens[0])
    masks = torch.rand(2, 12, tokens, generator=torch.Generator().manual_seed(1))
    asked = [
        *[Request(PROMPT, 0.6, seed, masks[seed]) for seed in range(2)],
        *requests(2),
        Request("a bell rings", 0.8, 5),
    ]
    sizes, own = [], batches.denoise
    monkeypatch.setattr(
        batches, "denoise", lambda model, jobs, on_step: (sizes.append(len(jobs)), own(model, jobs, on_step))[1]
    )
    check_lists(model, asked)
    assert max(sizes) == 1 + together


def test_it_keeps_the_contract(model):
    check_generator(model)


def test_the_clips_end_is_read_as_far_as_a_method_leaves_it(model):
    """Scaled embeddings, the clip's own length among them: what a pass at the longest length reads, scaled."""
    conditioning = model.encode_prompt([PROMPT, "a bell rings"])
    for factor in (1.0, 0.5, 0.0):
        timed = model._timed(replace(conditioning, embeddings=factor * conditioning.embeddings), 0.6)
        for row, tokens in enumerate(conditioning.tokens):
            torch.testing.assert_close(timed[row, len(tokens) - 1], factor * model._timing(0.6)[1])
            torch.testing.assert_close(
                timed[row, : len(tokens) - 1], factor * conditioning.embeddings[row, : len(tokens) - 1]
            )


def test_at_least_22_methods_run(model, clip):
    answers = {name: answer(name, model, clip) for name in own_methods()}
    assert sum(each == "yes" for each in answers.values()) >= 22, answers


def test_lower_precision_stays_near_and_the_stream_is_float32(folder, model, clip):
    check_lower_precision(load_generator(f"stable_audio:{folder}", dtype="bfloat16"), model, clip, 0.03)


def test_watching_changes_neither_the_models_identity_nor_its_processors(folder):
    one, other = (load_generator(f"stable_audio:{folder}") for _ in range(2))
    with edit_attention(one.attention_sites(), lambda site, weights: None):
        inside = one.identity()
    assert inside == other.identity()
    assert {type(site.module.processor).__name__ for site in one.attention_sites()} == {"StableAudioAttnProcessor2_0"}


def test_a_prompt_longer_than_the_text_encoder_reads_is_one_sentence(model):
    with pytest.raises(TagxaiError, match=r"the prompt has \d+ tokens; expected at most 24"):
        model.generate("a dog barks " * 12)


def cut_short(copy):
    path = copy / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (index(_class_name="MusicLDMPipeline"), r"does not hold a StableAudioPipeline: .*\(MusicLDMPipeline\)$"),
        (lambda copy: shutil.rmtree(copy / "vae"), "the StableAudioPipeline has no vae$"),
        (index(projection_model=[None, None]), "the StableAudioPipeline has no projection_model$"),
        (
            index(transformer=["diffusers", "UNet1DModel"]),
            "the transformer of .* is a UNet1DModel; expected a StableAu",
        ),
        (index(scheduler=["diffusers", "DDIMScheduler"]), "the scheduler of .* is a DDIMScheduler; expected a Cosine"),
        (as_pickle("transformer"), r"the transformer of .* is a pickle \(.*\.bin\), and reading that could run code"),
        (cut_short, "does not hold a StableAudioPipeline: "),
        (without_tensor(T5, NORM), f"text_encoder' lacks '{NORM}', so its weights do not fit its configuration$"),
        (with_tensor(T5), "text_encoder' has the unexpected 'superfluous.weight', so"),
        (with_tensor("transformer/diffusion_pytorch_model.safetensors"), "transformer' has the unexpected 'superfl"),
        (lambda copy: (copy / "model_index.json").write_text("{"), "is damaged: it names no pipeline$"),
        (lambda copy: (copy / "model_index.json").unlink(), "it has no model_index.json$"),
    ],
)
def test_what_is_not_a_whole_pipeline_is_refused_in_one_sentence(folder, tmp_path, change, sentence):
    check_refused("stable_audio", folder, tmp_path, change, sentence)


def test_a_scheduler_of_another_kind_is_refused(pipe):
    other = stable_audio()
    other.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, prediction_type="epsilon")
    with pytest.raises(UnsupportedError, match="has prediction_type epsilon; expected v_prediction"):
        StableAudioGenerator(other)


def test_another_generator_names_the_one_that_reads_the_folder(folder):
    with pytest.raises(TagxaiError, match=r"\(StableAudioPipeline\); the generator 'stable_audio' reads it$"):
        load_generator(f"musicgen:{folder}")


def test_without_the_extra_it_is_one_sentence(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(TagxaiError, match=r"'stable_audio' needs diffusers .*: pip install 'tagxai\[diffusers\]'"):
        load_generator(f"stable_audio:{folder}")


@pytest.mark.slow
def test_listing_generators_does_not_import_diffusers():
    code = (
        "import sys, tagxai.cli; sys.argv = ['tagxai', 'list']; tagxai.cli.app(standalone_mode=False); "
        "assert 'diffusers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
