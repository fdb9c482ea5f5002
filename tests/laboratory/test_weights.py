"""The model in the package loads with plain transformers, and its parts do what the model card says."""

import json

import pytest
import torch
from tiny_model_card import generate, hearing, main, reconstructed, synthesised

from tagxai.laboratory import CODEBOOKS, WEIGHTS
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.events import attributes, judge
from tagxai.laboratory.judging.meters import boundaries
from tagxai.laboratory.language.streams import prompts
from tagxai.laboratory.sounds.synthesis import EVENTS


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
    return asked, synthesised(asked, seed=11)


def test_the_folder_is_small():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 15 * 2**20


def test_the_folder_is_a_musicgen_of_four_codebooks_at_16_khz(model):
    config = model.config
    assert {p.dtype for p in model.parameters()} == {torch.float32}  # stored in half precision
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
    assert hearing(detector, asked, waveform)["accuracy"] >= 0.98
    assert figures["recall"] >= 0.95
    assert figures["order"] >= 0.95
    assert figures["false_presence"] <= 0.02


def test_the_detector_hears_nothing_in_silence(detector):
    assert not detector.present(torch.zeros(1, 48_000)).any()


def test_the_codec_keeps_what_the_detector_hears(model, detector, clips):
    asked, waveform = clips
    assert hearing(detector, asked, reconstructed(model, waveform))["recall"] >= 0.9


def test_generated_clips_hold_the_events_of_held_out_prompts_and_not_the_denied_ones(model, tokenizer, detector):
    asked = prompts("test", 24, seed=5)
    waveform = generate(model, tokenizer, [prompt.text for prompt in asked], seed=5)
    figures = judge(detector, asked, waveform)
    assert waveform.shape == (24, 48_000)
    assert figures["recall"] >= 0.8
    assert figures["negation"] >= 0.7
    assert figures["false_presence"] <= 0.1


def test_generated_clips_have_the_attributes_that_were_asked_for(model, tokenizer, detector):
    asked = [p for p in prompts("test", 48, seed=6, forms=("single", "followed")) if p.scene.styles[0].chosen()][:16]
    waveform = generate(model, tokenizer, [prompt.text for prompt in asked], seed=6)
    figures = attributes(detector, asked, waveform)
    right = sum(figures[kind] * count for kind, count in figures["of"].items())
    assert right / sum(figures["of"].values()) >= 0.7


def test_attributes_are_measured_by_the_boundaries_of_the_weights_that_are_judged(detector, tmp_path):
    asked = [p for p in prompts("test", 60, seed=6, forms=("single",)) if p.scene.styles[0].level]
    waveform = synthesised(asked, seed=6)
    for limit, heard in ((-1e9, "loud"), (1e9, "quiet")):
        (tmp_path / heard).mkdir()
        (tmp_path / heard / "meters.json").write_text(json.dumps({e: {"level": {"75": limit}} for e in EVENTS}))
        shares = attributes(detector, asked, waveform, boundaries(tmp_path / heard))["by_value"]
        assert {value for value, share in shares.items() if share > 0.5} == {heard}


@pytest.mark.parametrize(
    "options",
    [
        ("--clips", "2"),
        ("--seed", "-1"),
        ("--top-k", "-3"),
        ("--temperature", "0"),
        ("--temperature", "nan"),
        ("--guidance-scale", "inf"),
        ("--weights", "nowhere"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused_at_once(options, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["evaluate", *options])
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr()
    assert options[0] in said.err.splitlines()[-1] or "no model in nowhere" in said.err
    assert not said.out


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
