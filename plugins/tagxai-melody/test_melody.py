"""The contract, on random weights; and transformers' own forward pass and `generate`, which the plugin agrees with."""

import pytest
import torch
from tagxai_melody import MelodyGenerator

from tagxai import load_generator
from tagxai.contract.attention import edit_attention
from tagxai.contract.request import Request
from tagxai.errors import UnsupportedError
from tagxai.generators.parts import quiet
from tagxai.probing.edits import Capture
from tagxai.registering.registry import registry
from tagxai.testing import check_generator, check_method
from tagxai.testing.checkpoints import small_tokenizer

PROMPT = "a dog barks while rain falls"
MELODY = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small MusicGen-Melody with its tokenizer, as `save_pretrained` writes them."""
    from transformers import (
        EncodecConfig,
        MusicgenMelodyConfig,
        MusicgenMelodyDecoderConfig,
        MusicgenMelodyForConditionalGeneration,
        T5Config,
    )

    target = tmp_path_factory.mktemp("melody")
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = small_tokenizer()
        text = T5Config(vocab_size=len(tokenizer), d_model=24, d_kv=8, d_ff=48, num_layers=2, num_heads=3)
        codec = EncodecConfig(
            sampling_rate=16_000, upsampling_ratios=[10, 64], num_filters=4, hidden_size=16, codebook_dim=16,
            num_lstm_layers=1, codebook_size=64, target_bandwidths=[0.6], use_causal_conv=False,
        )  # fmt: skip
        decoder = MusicgenMelodyDecoderConfig(
            vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64, num_codebooks=4,
            pad_token_id=64, bos_token_id=64, max_position_embeddings=340, dropout=0.0, initializer_factor=32**-0.5,
        )  # fmt: skip
        config = MusicgenMelodyConfig(
            text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict(), chroma_length=MELODY
        )
        model = MusicgenMelodyForConditionalGeneration(config)
        for layer in model.audio_encoder.quantizer.layers:
            layer.codebook.embed.normal_(std=3.0)
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return target


@pytest.fixture(scope="module")
def generator(folder):
    return load_generator(f"melody:{folder}")


def test_it_keeps_the_contract_of_generators(generator):
    assert isinstance(generator, MelodyGenerator)
    check_generator(generator)


@pytest.mark.parametrize("name", ["audiogenx", "daam", "input_x_gradient", "attention_rollout", "occlusion"])
def test_methods_keep_their_contract_on_it(name, generator):
    method = registry().method(name).configure({"epochs": 2} if name == "audiogenx" else {})
    check_method(method, generator, prompts=("a dog", "a bell"), duration=0.3)


@pytest.mark.parametrize("name", ["alti", "gradient_x_attention", "value_zeroing"])
def test_methods_that_read_a_whole_layer_are_refused_in_a_sentence(name, generator):
    clip = generator.generate(PROMPT, duration=0.2)
    with pytest.raises(UnsupportedError, match="attention site 'layer"):
        registry().method(name)().attribute(generator, clip)


def test_log_probabilities_are_those_of_transformers_own_forward(generator):
    clip = generator.generate(PROMPT, duration=0.4, seed=1)
    codes, frames = clip.record["codes"], clip.frames
    columns = torch.full((4, clip.positions), 64)
    for q, delay in enumerate(clip.timeline.delays):
        columns[q, 1 + delay : 1 + delay + frames] = codes[q, : clip.positions - 1 - delay]
    inputs = generator.tokenizer([PROMPT], return_tensors="pt")
    with torch.no_grad():
        logits = generator.model(**inputs, decoder_input_ids=columns).logits[:, -clip.positions :]
    scored = generator.forward(clip).log_prob[0]
    for q, delay in enumerate(clip.timeline.delays):
        expected = logits[q, delay : delay + frames].log_softmax(-1).gather(-1, codes[q][:, None])[:, 0]
        torch.testing.assert_close(scored[q], expected, atol=1e-4, rtol=1e-4)


def test_greedy_codes_are_those_of_transformers_own_generate(generator):
    ours = generator.generate(PROMPT, duration=0.6, temperature=0.0, guidance_scale=3.0)
    caught = []
    codec, own = generator.model.audio_encoder, generator.model.audio_encoder.decode
    codec.decode = lambda codes, *args, **options: (caught.append(codes[0, 0]), own(codes, *args, **options))[1]
    try:
        inputs = generator.tokenizer([PROMPT], return_tensors="pt")
        length = ours.frames + generator.codebooks
        generator.model.generate(**inputs, do_sample=False, guidance_scale=3.0, max_length=length)
    finally:
        del codec.decode
    assert torch.equal(ours.record["codes"], caught[0])


def test_edits_see_the_weights_on_the_prompts_tokens_alone(generator):
    clip = generator.generate(PROMPT, duration=0.4, seed=1)
    with edit_attention(generator.cross_attention(), capture := Capture(keep_layers=True, keep_heads=True)):
        generator.forward(clip)
    seen = capture.weights()
    assert seen.shape == (1, 2, 4, clip.positions, len(clip.tokens))
    assert (seen > 0).all()
    assert (seen.sum(-1) < 1).all()  # the melody and the audio have the rest


def test_many_clips_are_those_of_one_by_one_calls(generator):
    requests = [Request(prompt, 0.3, seed) for seed, prompt in enumerate((PROMPT, "rain", "a dog", PROMPT))]
    for one, many in zip(map(generator.generate_one, requests), generator.generate_many(requests), strict=True):
        assert one.sounds_as(many)
