"""Against audiocraft's own loading, generation, codec and conditioner."""

import pytest
import torch

from tagxai.generators.audiocraft.model import AudiocraftMusicGenGenerator, AudioGenGenerator
from tagxai.testing import check_generator, random_audiocraft_checkpoint

pytest.importorskip("audiocraft")

PROMPT = "a dog barks while rain falls"
PROMPTS = [PROMPT, "rain", "the sound of a siren followed by thunder and birds"]
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


def load_by_audiocraft(folder):
    """What audiocraft's own loader makes of the checkpoint; it finds "t5-small" in the working directory."""
    from audiocraft.models import AudioGen

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return AudioGen.get_pretrained(str(folder), device="cpu")


@pytest.fixture(scope="module")
def audiogen(audiocraft_model):
    return load_by_audiocraft(audiocraft_model)


def audiocraft_codes(model, prompt, frames, scale):
    from audiocraft.modules.conditioners import ConditioningAttributes

    conditions = [ConditioningAttributes(text={"description": prompt})]
    return model.lm.generate(None, conditions, max_gen_len=frames, use_sampling=False, cfg_coef=scale, check=True)[0]


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_codes_are_those_of_audiocrafts_own_generate(generator, audiogen, prompt, scale):
    ours = generator.generate(prompt, duration=0.8, temperature=0.0, guidance_scale=scale)
    assert torch.equal(ours.record["codes"], audiocraft_codes(audiogen, prompt, ours.frames, scale))


def test_the_sound_is_that_of_audiocrafts_own_codec(audiogen, generation):
    expected = audiogen.generate_audio(generation.record["codes"][None])[0]
    torch.testing.assert_close(generation.waveform, expected, **TOLERANCE)
    assert generation.waveform.shape == (1, round(0.6 * 16_000))


def test_embeddings_are_those_of_audiocrafts_own_conditioner(generator, audiogen):
    conditioner = audiogen.lm.condition_provider.conditioners["description"]
    expected, mask = conditioner(conditioner.tokenize(PROMPTS))
    ours = generator.encode_prompt(PROMPTS)
    torch.testing.assert_close(ours.embeddings, expected, **TOLERANCE)
    assert torch.equal(ours.mask, mask.bool())


@pytest.mark.parametrize("branch", ["conditional", "unconditional"])
def test_log_probabilities_are_those_of_audiocrafts_own_predictions(generator, audiogen, generation, branch):
    from audiocraft.modules.conditioners import ConditioningAttributes

    text = PROMPT if branch == "conditional" else None
    expected = audiogen.lm.compute_predictions(
        generation.record["codes"][None],
        [ConditioningAttributes(text={"description": text})],
        keep_only_valid_steps=False,
    )
    assert expected.mask.all()
    log_prob = expected.logits.log_softmax(-1).gather(-1, generation.record["codes"][None, ..., None])[..., 0]
    torch.testing.assert_close(generator.forward(generation, branch=branch).log_prob, log_prob, **TOLERANCE)


def test_a_model_that_audiocraft_loaded_can_be_wrapped_and_given_back(audiocraft_model, generation):
    model = load_by_audiocraft(audiocraft_model)
    model.lm.train()
    model.lm.linears[0].weight.requires_grad_(False)
    flags = [part.training for part in model.lm.modules()]
    needed = [weight.requires_grad for weight in model.lm.parameters()]
    wrapped = AudioGenGenerator.wrap(model)
    assert not any(weight.requires_grad for weight in model.lm.parameters())
    assert torch.equal(wrapped.generate(PROMPT, duration=0.6, seed=3).record["codes"], generation.record["codes"])
    wrapped.release()
    assert [part.training for part in model.lm.modules()] == flags
    assert [weight.requires_grad for weight in model.lm.parameters()] == needed
    assert any(flags)
    assert any(needed)


def test_a_model_in_half_precision_can_be_wrapped(audiocraft_model):
    """As audiocraft loads it on a GPU, where autocast widens what the last norm gives."""
    model = load_by_audiocraft(audiocraft_model)
    model.lm.to(torch.bfloat16)
    model.lm.out_norm.register_forward_hook(lambda module, given, output: output.float())
    wrapped = AudioGenGenerator.wrap(model)
    clip = wrapped.generate(PROMPT, duration=0.2)
    assert torch.isfinite(wrapped.forward(clip).log_prob).all()


@pytest.fixture(scope="module")
def stereo(tmp_path_factory):
    """MusicGen's stereo layout: two codes a step, left and right interleaved over the codebooks."""
    changes = {
        "transformer_lm": {"n_q": 8},
        "codebooks_pattern": {"delay": {"delays": [0, 0, 1, 1, 2, 2, 3, 3]}},
        "interleave_stereo_codebooks": {"use": True, "per_timestep": False},
    }
    folder = random_audiocraft_checkpoint(tmp_path_factory.mktemp("stereo"), changes=changes)
    return AudiocraftMusicGenGenerator.load(str(folder))


def test_a_stereo_model_conforms_and_its_greedy_codes_are_audiocrafts_own(stereo):
    check_generator(stereo)
    ours = stereo.generate(PROMPT, duration=0.4, temperature=0.0)
    assert torch.equal(ours.record["codes"], audiocraft_codes(stereo, PROMPT, ours.frames, 3.0))
    assert ours.waveform.shape == (2, round(0.4 * 16_000))


@pytest.mark.parametrize(
    "settings",
    [
        {"custom": True, "memory_efficient": False},
        {"attention_as_float32": True, "layer_scale": 0.5, "dropout": 0.5},
        {"norm_first": False, "bias_ff": True, "bias_proj": True},
    ],
    ids=["custom_attention", "float32_attention", "post_norm"],
)
def test_models_with_other_settings_of_audiocraft_conform(tmp_path, settings):
    generator = AudioGenGenerator.load(
        str(random_audiocraft_checkpoint(tmp_path, changes={"transformer_lm": settings}))
    )
    check_generator(generator)
    ours = generator.generate(PROMPT, duration=0.4, temperature=0.0)
    assert torch.equal(ours.record["codes"], audiocraft_codes(generator, PROMPT, ours.frames, 3.0))


def test_a_parallel_pattern_has_as_many_steps_as_frames(tmp_path):
    changes = {"codebooks_pattern": {"modeling": "parallel", "parallel": {"empty_initial": 0}}}
    generator = AudioGenGenerator.load(str(random_audiocraft_checkpoint(tmp_path, changes=changes)))
    check_generator(generator)
    clip = generator.generate(PROMPT, duration=0.4, temperature=0.0)
    assert clip.positions == clip.frames
    assert torch.equal(clip.record["codes"], audiocraft_codes(generator, PROMPT, clip.frames, 3.0))


def test_a_codec_by_name_is_an_encodec_in_transformers_format(tmp_path, random_model, generation):
    """The released MusicGen checkpoints name their codec; here a folder of that name lies beside them."""
    from transformers import MusicgenForConditionalGeneration

    random_audiocraft_checkpoint(tmp_path)
    codec = MusicgenForConditionalGeneration.from_pretrained(random_model).audio_encoder
    codec.save_pretrained(tmp_path / "encodec")
    torch.save({"pretrained": "encodec", "exported": True}, tmp_path / "compression_state_dict.bin")
    generator = AudiocraftMusicGenGenerator.load(str(tmp_path))
    with torch.no_grad():
        expected = codec.decode(generation.record["codes"][None, None], [None]).audio_values[0]
    torch.testing.assert_close(generator.decode(generation), expected)
    check_generator(generator)
