"""Prompts that look alike are alike to every model, and every token keeps its place in the prompt as it was written."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagxai.explaining.loading import load_generator
from tagxai.text.normalising import normalise
from tagxai.text.words import words

ALIKE = [
    "a dog's bark while rain falls",
    "  a dog's bark while rain falls ",
    "a dog's\tbark while\r\nrain falls\n",
    "a  dog's   bark while\u00a0rain\u2003falls",
    "a dog\u2019s bark while rain falls",
    "\ufeffa dog\u2018s ba\u00adrk while\u200b rain falls",
]


@pytest.mark.parametrize("which", ["tiny", "latent", "generator", "audiocraft_generator"])
def test_prompts_that_look_alike_are_encoded_alike(which, request):
    model = load_generator(which) if which in ("tiny", "latent") else request.getfixturevalue(which)
    expected = model.encode_prompt(ALIKE[:1])
    for prompt in ALIKE[1:]:
        found = model.encode_prompt([prompt])
        assert found.tokens == expected.tokens
        assert torch.equal(found.embeddings, expected.embeddings)
        texts = [normalise(prompt[slice(*span)]).text for span in found.spans[0]]
        assert texts == [ALIKE[0][slice(*span)] for span in expected.spans[0]]


@pytest.mark.parametrize("prompt", ALIKE)
def test_words_are_those_of_the_prompt_as_it_was_written(prompt, generator):
    found = generator.encode_prompt([prompt])
    said = [word for word in words(prompt, found.spans[0], found.tokens[0]) if not word.special]
    assert [normalise(prompt[word.start : word.end]).text for word in said] == ALIKE[0].split()


@given(st.text(st.sampled_from("ab \t\n\u00a0\u2019\u201c\u200bé"), max_size=12))
def test_normalising_is_done_once_and_places_are_where_the_characters_were(prompt):
    found = normalise(prompt)
    assert normalise(found.text).text == found.text
    assert len(found.places) == len(found.text)
    assert list(found.places) == sorted(found.places)
    for place, character in zip(found.places, found.text, strict=True):
        own = prompt[place]
        assert own == character or (character == " " and own.isspace()) or character in "'\""
    assert found.text.split() == normalise(" ".join(prompt.split())).text.split()
