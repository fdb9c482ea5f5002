"""The sibling with a natural text encoder: its sub-words, its objective, and what it takes from the shipped model."""

import torch

from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.train import lm, natural_objectives, text
from tagxai.laboratory.train.text_labels import MEANINGS, ROLES, label
from tagxai.laboratory.train.tokenizer import EOS, UNKNOWN, build_ordinary

CAPTIONS = ["A dog barks, then a dog barks again.", "Rain falls while wind blows!", "a bell rings; dogs bark"] * 20


def test_ordinary_pieces_part_punctuation_from_words_and_rare_words_into_letters():
    tokenizer = build_ordinary(CAPTIONS, vocabulary=80)
    encoded = tokenizer("A DOG barks, grab it.", return_offsets_mapping=True)
    assert encoded.input_ids[-1] == EOS
    assert UNKNOWN not in encoded.input_ids
    pieces = ["A DOG barks, grab it."[start:end] for start, end in encoded.offset_mapping[:-1]]
    assert "".join(pieces).replace(" ", "") == "ADOGbarks,grabit."
    assert not any(len(piece.strip()) > 1 and piece.strip()[-1] in ",." for piece in pieces)
    word = [piece.strip() for piece in pieces if "grab".find(piece.strip().lower()) >= 0]
    assert len(word) >= 2  # no caption has it


def test_a_sentence_means_its_events_and_attributes_in_their_roles_wherever_they_stand():
    tokenizer = build_ordinary(CAPTIONS, vocabulary=60)
    sentences = [parse(t) for t in ("rain falls after a dog barks loudly", "a bell rings without rain falling")]
    batch = label(sentences, tokenizer, 48)
    found = natural_objectives.meant(batch)

    def said(row):
        return {(MEANINGS[i // len(ROLES)], ROLES[i % len(ROLES)]) for i in row.nonzero()[:, 0].tolist()}

    assert said(found[0]) == {("dog", "0 of 2"), ("loud", "0 of 2"), ("rain", "1 of 2")}
    assert said(found[1]) == {("bell", "0 of 1"), ("rain", "absent")}
    order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
    shuffled = type(batch)(*(part[:, order] for part in batch))
    assert torch.equal(natural_objectives.meant(shuffled), found)


def test_padding_changes_no_mean_and_the_losses_have_gradients():
    tokenizer = build_ordinary(CAPTIONS, vocabulary=60)
    batch = label([parse("a dog barks while rain falls")], tokenizer, 48)
    torch.manual_seed(0)
    model = text.build(len(tokenizer)).eval()
    heads = natural_objectives.Heads(model.config.d_model)
    terms = natural_objectives.objectives(model, heads, batch, torch.Generator().manual_seed(0), progress=0.0)
    assert set(terms) == {"masked", "sentence"}
    terms["sentence"].backward()
    assert all(weight.grad is not None for weight in heads.parameters())
    states = torch.randn(1, 4, 3)
    real = torch.tensor([[True, True, False, False]])
    torch.testing.assert_close(natural_objectives.pooled(states, real)[0], states[0, :2].mean(0))


def test_the_decoder_starts_from_anothers_weights_but_reads_the_text_with_its_own():
    torch.manual_seed(0)
    shipped, model = lm.build(), lm.build()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    lm.start_from(model, shipped.decoder)
    for name, weight in model.state_dict().items():
        reads = ".encoder_attn" in name or name.startswith("enc_to_dec_proj")
        other = before if reads else shipped.state_dict()
        assert torch.equal(weight, other[name]), name
