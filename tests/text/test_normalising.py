"""Prompts that look alike are alike to every model, and every token keeps its place in the prompt as it was written."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagxai.contract.request import Request
from tagxai.errors import TagxaiError
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


UNSEEN = {
    "a lone surrogate": "\ud83d",
    "the other half of a pair": "\udc36",
    "an undecodable byte": "\udcff",
    "a tag": "\U000e0041",
    "a language tag": "\U000e0001",
    "a cancelling tag": "\U000e007f",
    "a variation selector": "\ufe0f",
    "an ideographic variation selector": "\U000e0100",
    "a zero-width space": "\u200b",
    "a zero-width joiner": "\u200d",
    "a zero-width non-joiner": "\u200c",
    "an invisible plus": "\u2064",
    "a right-to-left mark": "\u200f",
    "an isolate": "\u2067",
    "a grapheme joiner": "\u034f",
    "a filler of Hangul": "\u115f",
    "a vowel separator of Mongolian": "\u180e",
    "a mark of an annotation": "\ufffb",
    "a control of shorthand": "\U0001bca1",
    "a control of music": "\U0001d173",
    "a noncharacter": "\uffff",
    "a noncharacter of another plane": "\U0010fffe",
    "an unassigned character that is never drawn": "\U000e0fff",
    "a soft hyphen": "\u00ad",
}


@pytest.mark.parametrize("what", UNSEEN)
@pytest.mark.parametrize("prompt", ["{}a dog barks", "a do{}g barks", "a {} dog barks", "a dog barks{0}{0}"])
def test_what_nobody_sees_is_nothing_to_the_model(what, prompt):
    assert normalise(prompt.format(UNSEEN[what])).text == "a dog barks"


@pytest.mark.parametrize(
    "prompt",
    [
        "a \N{MAN}\u200d\N{PERSONAL COMPUTER} types",
        "\N{WOMAN}\u200d\N{HEAVY BLACK HEART}\u200d\N{MAN} laugh",
        "a \N{HAPPY PERSON RAISING ONE HAND}\N{EMOJI MODIFIER FITZPATRICK TYPE-3}\u200d\N{FEMALE SIGN} waves",
        "می\u200cخواهم",
        "ක\u0dca\u200dර",
        "क\u094d\u200dष",
        "\u0600١٢",
        "שלום עולם",
        "犬が吠える",
        "naïve café",
        "z\u0301\u0323",
        "\ue000 \U0001fae8",
    ],
)
def test_what_changes_the_picture_stays(prompt):
    assert normalise(prompt).text == prompt


@pytest.mark.parametrize("gap", ["\u2800", "\u3164", "\uffa0", "\x85", "\u2003", "\x1b", "\u2028"])
def test_what_is_drawn_as_a_gap_is_a_space(gap):
    assert normalise(f"a{gap}{gap}dog{gap}").text == "a dog"


@pytest.mark.parametrize("prompt", ["", "  ", "\u200b", "\U000e0041\U000e007f", "\ud800"])
def test_a_prompt_of_nothing_seen_is_refused(prompt):
    with pytest.raises(TagxaiError, match=r"the prompt is empty|is not valid UTF-8"):
        Request(prompt)


@pytest.mark.parametrize("prompt", ALIKE)
def test_words_are_those_of_the_prompt_as_it_was_written(prompt, generator):
    found = generator.encode_prompt([prompt])
    said = [word for word in words(prompt, found.spans[0], found.tokens[0]) if not word.special]
    assert [normalise(prompt[word.start : word.end]).text for word in said] == ALIKE[0].split()


@given(st.text(st.sampled_from("ab \t\n\u00a0\u2019\u201c\u200bé\u200d\ufe0f\u034f\U0001f468ا\u2800"), max_size=12))
def test_normalising_is_done_once_and_places_are_where_the_characters_were(prompt):
    found = normalise(prompt)
    assert normalise(found.text).text == found.text
    assert len(found.places) == len(found.text)
    assert list(found.places) == sorted(found.places)
    for place, character in zip(found.places, found.text, strict=True):
        own = prompt[place]
        assert own == character or (character == " " and (own.isspace() or own == "\u2800")) or character in "'\""
    assert found.text.split() == normalise(" ".join(prompt.split())).text.split()
