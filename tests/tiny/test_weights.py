"""The model in the package loads with plain transformers, and its parts do what the model card says."""

import json

import numpy as np
import pytest
import torch

from tagxai.tiny import CODEBOOKS, WEIGHTS
from tagxai.tiny.clips import render
from tagxai.tiny.detector import EventDetector
from tagxai.tiny.evaluate import generate, judge
from tagxai.tiny.grammar import prompts


@pytest.fixture(scope="module")
def model():
    from transformers import MusicgenForConditionalGeneration

    return MusicgenForConditionalGeneration.from_pretrained(WEIGHTS).eval()


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(WEIGHTS)


@pytest.fixture(scope="module")
def detector():
    return EventDetector.load()


@pytest.fixture(scope="module")
def clips():
    """Fresh held-out clips, `(prompts, waveform)`."""
    asked = prompts("test", 45, seed=11)
    rng = np.random.default_rng(11)
    waves = [torch.from_numpy(render(prompt.form, prompt.events, rng).waveform) for prompt in asked]
    return asked, torch.stack(waves)


def test_the_folder_is_small():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 15 * 2**20


def test_the_folder_is_a_musicgen_of_four_codebooks_at_16_khz(model):
    config = model.config
    assert config.text_encoder.model_type == "t5"
    assert (config.audio_encoder.model_type, config.audio_encoder.sampling_rate) == ("encodec", 16_000)
    assert config.decoder.num_codebooks == model.audio_encoder.config.num_quantizers == CODEBOOKS
    assert config.decoder.pad_token_id == config.audio_encoder.codebook_size


def test_event_words_are_few_pieces_and_offsets_point_at_them(tokenizer):
    for prompt in prompts("test", 60, seed=3):
        offsets = tokenizer(prompt.text.upper(), return_offsets_mapping=True).offset_mapping
        assert tokenizer(prompt.text.upper()).input_ids == tokenizer(prompt.text).input_ids
        assert tokenizer(prompt.text).input_ids[-1] == tokenizer.eos_token_id
        for mention in prompt.mentions:
            inside = [pair for pair in offsets if mention.start_char < pair[1] and pair[0] < mention.end_char]
            words = prompt.text[mention.start_char : mention.end_char].split()
            assert len(words) <= len(inside) <= 3 * len(words)
            assert inside[-1][1] == mention.end_char


def test_the_detector_hears_fresh_clips(detector, clips):
    asked, waveform = clips
    figures = judge(detector, asked, waveform)
    assert figures["recall"] >= 0.98
    assert figures["order"] >= 0.98
    assert figures["unasked_events_per_clip"] <= 0.05


def test_the_detector_hears_nothing_in_silence(detector):
    assert not detector.present(torch.zeros(1, 48_000)).any()


@torch.inference_mode()
def test_the_codec_keeps_what_the_detector_hears(model, detector, clips):
    asked, waveform = clips
    codes = model.audio_encoder.encode(waveform[:, None]).audio_codes
    assert codes.shape == (1, len(asked), CODEBOOKS, 75)
    decoded = model.audio_encoder.decode(codes, [None] * len(asked)).audio_values[:, 0]
    assert judge(detector, asked, decoded)["recall"] >= 0.9


def test_generated_clips_hold_the_events_of_held_out_prompts(model, tokenizer, detector):
    asked = prompts("test", 18, seed=5)
    waveform = generate(model, tokenizer, [prompt.text for prompt in asked], seed=5)
    assert waveform.shape == (18, 48_000)
    assert judge(detector, asked, waveform)["recall"] >= 0.8


def test_generation_repeats_with_the_seed_and_leaves_the_global_one_alone(model, tokenizer):
    before = torch.random.get_rng_state()
    first, again = (generate(model, tokenizer, ["a dog barks"], seed=1) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_model_card_states_figures_and_licence():
    card = (WEIGHTS / "README.md").read_text()
    assert "MIT" in card
    assert "recall" in card
    assert json.loads((WEIGHTS / "detector.json").read_text())["sample_rate"] == 16_000
