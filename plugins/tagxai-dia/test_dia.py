"""Checks the contract on random weights, and compares the plugin with transformers' own forward pass."""

import pytest
import torch
from tagxai_dia import DiaGenerator

from tagxai import load_generator
from tagxai.contract.attention import edit_attention
from tagxai.errors import UnsupportedError
from tagxai.generators.parts import quiet
from tagxai.probing.edits import Gate
from tagxai.registering.registry import registry
from tagxai.testing import check_generator, check_method
from tagxai.text.words import words

CODES, DELAYS = 32, [0, 2, 3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small Dia with its codec, tokenizer and processor, written by `save_pretrained`."""
    from transformers import (
        DacConfig,
        DacModel,
        DiaConfig,
        DiaFeatureExtractor,
        DiaForConditionalGeneration,
        DiaProcessor,
        DiaTokenizer,
    )

    target = tmp_path_factory.mktemp("dia")
    shared = {
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "head_dim": 8,
        "initializer_range": 0.3,
    }
    decoder = shared | {
        "num_attention_heads": 4, "num_key_value_heads": 2, "cross_num_attention_heads": 4, "cross_head_dim": 8,
        "cross_num_key_value_heads": 4, "cross_hidden_size": 32, "vocab_size": CODES + 4, "num_channels": len(DELAYS),
        "eos_token_id": CODES, "pad_token_id": CODES + 1, "bos_token_id": CODES + 2, "max_position_embeddings": 120,
    }  # fmt: skip
    encoder = shared | {"num_attention_heads": 4, "num_key_value_heads": 4}
    codec = DacConfig(
        encoder_hidden_size=4, decoder_hidden_size=16, downsampling_ratios=[8, 8, 10], n_codebooks=len(DELAYS),
        codebook_size=CODES, codebook_dim=4, sampling_rate=16_000,
    )  # fmt: skip
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = DiaConfig(encoder_config=encoder, decoder_config=decoder, delay_pattern=DELAYS)
        DiaForConditionalGeneration(config).save_pretrained(target)
        DacModel(codec).save_pretrained(target / "codec")
        saved = DacModel.from_pretrained(target / "codec")
        DiaProcessor(DiaFeatureExtractor(), DiaTokenizer(), saved).save_pretrained(target)
    return target


@pytest.fixture(scope="module")
def generator(folder):
    return load_generator(f"dia:{folder}")


def test_it_keeps_the_contract_of_generators(generator):
    assert isinstance(generator, DiaGenerator)
    check_generator(generator)


QUICK = {"audiogenx": {"epochs": 2}}


@pytest.mark.parametrize("name", ["alti", "attention_rollout", "atman", "audiogenx", "daam", "value_zeroing"])
def test_methods_that_look_at_attention_keep_their_contract_on_it(name, generator):
    method = registry().method(name).configure(QUICK.get(name, {}))
    check_method(method, generator, prompts=("[S1] dog", "a bell"), duration=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry().methods)
def test_every_method_keeps_its_contract_on_it(name, generator):
    method = registry().method(name).configure(QUICK.get(name, {}))
    if name == "attn_lrp":  # its feed-forward networks are gated, which the rules do not cover
        with pytest.raises(UnsupportedError, match="AttnLRP has no rules for DiaDecoderLayer"):
            method.attribute(generator, generator.generate("[S1] dog", duration=0.4))
        return
    check_method(method, generator, prompts=("[S1] dog", "a bell"), duration=0.4)


def test_a_gate_of_zeros_is_not_its_null_condition(generator):
    clip = generator.generate("[S1] a dog", duration=0.4, seed=1)
    with edit_attention(generator.cross_attention(), Gate(torch.zeros(clip.positions, len(clip.tokens)))):
        closed = generator.forward(clip).log_prob
    assert (closed - generator.forward(clip, branch="unconditional").log_prob).abs().max() > 0.01
    assert "closes" not in generator.offers


def test_hidden_states_and_logits_are_those_of_transformers_own_forward(generator):
    clip = generator.generate("[S1] a dog barks", duration=0.4, seed=1)
    ids = generator.tokenizer("[S1] a dog barks", return_tensors="pt")["input_ids"]
    columns = torch.full((1, clip.positions, len(DELAYS)), CODES + 2)
    for q, delay in enumerate(DELAYS):
        for frame in range(clip.frames):
            if frame + delay + 1 < clip.positions:
                columns[0, frame + delay + 1, q] = clip.record["codes"][q, frame]
    with torch.no_grad():
        logits = generator.model(input_ids=ids, decoder_input_ids=columns).logits  # [codebooks, steps, vocabulary]
    scored = generator.forward(clip).log_prob[0]
    for q, delay in enumerate(DELAYS):
        for frame in range(clip.frames):
            expected = logits[q, frame + delay, :CODES].log_softmax(-1)[clip.record["codes"][q, frame]]
            torch.testing.assert_close(scored[q, frame], expected, atol=1e-4, rtol=1e-4)


def test_the_null_condition_is_a_text_of_zeros_of_any_length(generator):
    for length in (1, 7):
        zeros = torch.zeros(1, length, dtype=torch.long)
        with torch.no_grad():
            expected = generator.model.model.encoder(input_ids=zeros).last_hidden_state
        torch.testing.assert_close(generator._null(expected), expected, atol=1e-5, rtol=1e-5)


def test_bytes_belong_to_the_words_that_they_spell(generator):
    prompt = "[S1] a Bär growls"
    encoded = generator.encode_prompt([prompt])
    tokens, spans = encoded.tokens[0], encoded.spans[0]
    assert len(tokens) == len(prompt.encode()) - 3  # a speaker is one token, "ä" is two
    units = words(prompt, spans, tokens)
    assert [unit.text for unit in units] == ["S1", "a", "Bär", "growls"]
    assert [len(unit.tokens) for unit in units] == [1, 2, 5, 7]
