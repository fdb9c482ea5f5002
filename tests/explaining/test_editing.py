"""Gains: they reach the right tokens, are what a scaled attention makes, and are saved with both clips."""

import json
import re

import pytest
import torch

import tagxai
from tagxai.contract.attention import scale_values
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.explaining.editing import EDIT, Edit
from tagxai.explaining.gains import token_gains

PROMPT = "a dog barks while rain falls and rain stops"
SPANS = (*(match.span() for match in re.finditer(r"\S+", PROMPT)), (len(PROMPT), len(PROMPT)))
TOKENS = (*PROMPT.split(), "</s>")


def test_gains_reach_the_tokens_of_their_words_wherever_they_occur():
    found = token_gains({"a dog barks": 2.0, "RAIN": 0.0}, PROMPT, SPANS, TOKENS)
    assert found == (2.0, 2.0, 2.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("gains", "told"),
    [
        ({"rain": 4.5}, "must be from 0 to 4, not 4.5"),
        ({"rain": float("nan")}, "must be from 0 to 4"),
        ({"snow": 1.0}, "no word or phrase of the prompt named 'snow'"),
        ({"ai": 1.0}, "no word or phrase"),
        ({" ": 1.0}, "no word or phrase"),
        ({"rain": 1.0, "rain falls": 2.0}, "two gains are about 'rain'"),
    ],
)
def test_bad_gains_are_told(gains, told):
    with pytest.raises(TagxaiError, match=told):
        token_gains(gains, PROMPT, SPANS, TOKENS)


def test_an_edit_is_the_clip_under_scaled_values_of_the_same_seed(generator, generation):
    found = tagxai.edit(generation, {"rain falls": 2.0}, generator=generator)
    (take,) = found.takes
    assert torch.equal(take.plain.record["codes"], generation.record["codes"])
    scale = torch.tensor(found.token_gains)[None]
    with scale_values(generator.cross_attention(), scale):
        expected = generator.generate(generation.prompt, duration=generation.duration, seed=generation.seed)
    assert torch.equal(take.edited.record["codes"], expected.record["codes"])
    assert (take.edited.record["codes"] != take.plain.record["codes"]).any()


def test_an_edit_comes_back_from_its_folder(generator, tmp_path):
    made = tagxai.edit("a dog barks", {"dog": 0.0}, generator=generator, duration=0.4, seed=5, repeats=2)
    assert [take.edited.seed for take in made.takes] == [5, 6]
    again = Edit.load(made.save(tmp_path / "edit"))
    assert (again.gains, again.token_gains) == (made.gains, made.token_gains)
    for one, other in zip(made.takes, again.takes, strict=True):
        assert one.plain.sounds_as(other.plain)
        assert one.edited.sounds_as(other.edited)
        assert one.level_change == pytest.approx(other.level_change, abs=0.01)
    content = json.loads((tmp_path / "edit" / EDIT).read_text())
    (tmp_path / "edit" / EDIT).write_text(json.dumps(content | {"gains": {"dog": 1.0}}))
    with pytest.raises(DamagedFileError, match="was changed"):
        Edit.load(tmp_path / "edit")
