"""Exports: tables hold every score, labels lie where words are strong, and other programs can read them."""

import csv
import io
from dataclasses import replace

import pandas
import pytest
import torch

from tagxai.errors import TagxaiError


def strong(explanation, rows, is_mask=True):
    """Words that are strong in the given frames, on a floor of 0.2."""
    scores = torch.full_like(explanation.scores, 0.2)
    for word, frames in rows.items():
        for token in explanation.words()[word].tokens:
            scores[:, frames, token] = 0.9
    return replace(explanation, scores=scores, is_mask=is_mask, merge="mean")


def test_a_table_has_a_row_for_each_word_and_frame(explanation):
    found = replace(explanation, deviation=explanation.scores / 10)
    table = found.to_pandas()
    words, clip = found.words(), found.generation
    assert len(table) == len(words) * clip.frames
    values = torch.tensor(table["score"].to_numpy()).reshape(len(words), clip.frames)
    torch.testing.assert_close(values.float(), found.over_time(words))
    assert table["start"][3] == pytest.approx(3 / clip.frame_rate)
    read = pandas.read_csv(io.StringIO(found.to_csv()))
    pandas.testing.assert_frame_equal(read, table, check_dtype=False)


def test_csv_keeps_texts_with_commas_and_quotes(explanation):
    clip = explanation.generation
    odd = 'a,"b'
    spans = ((0, len(odd)), *((len(odd), len(odd)) for _ in clip.tokens[1:]))
    found = replace(explanation, generation=replace(clip, prompt=odd, spans=spans))
    rows = list(csv.DictReader(io.StringIO(found.to_csv(by="token"))))
    assert {row["text"] for row in rows} == set(clip.tokens)


@pytest.mark.parametrize("is_mask", [True, False])
def test_labels_lie_where_a_word_is_strong(explanation, is_mask):
    found = strong(explanation, {1: slice(5, 10), 4: slice(7, 25)}, is_mask)
    words = [unit.text for unit in found.words()]
    lines = [line.split("\t") for line in found.to_labels().splitlines()]
    assert lines == [["0.200000", "0.400000", words[1]], ["0.280000", "1.000000", words[4]]]
    raven = [line.split("\t") for line in found.to_labels("raven").splitlines()]
    assert [len(row) for row in raven] == [8, 8, 8]
    assert raven[1][3:] == ["0.200000", "0.400000", "0.0", "8000.0", words[1]]


def test_a_textgrid_has_a_whole_tier_for_each_word(explanation):
    text = strong(explanation, {1: slice(5, 10)}).to_labels("textgrid")
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n')
    assert text.count('class = "IntervalTier"') == len([u for u in explanation.words() if not u.special])
    lines = [line.strip() for line in text.splitlines()]
    at = lines.index(f'name = "{explanation.words()[1].text}"')
    assert lines[at + 3] == "intervals: size = 3"
    bounds = [line.split(" = ")[1] for line in lines[at : at + 16] if line.startswith(("xmin", "xmax"))][2:]
    assert bounds == ["0.000000", "0.200000", "0.200000", "0.400000", "0.400000", "1.000000"]


def test_an_unknown_format_is_told(explanation):
    with pytest.raises(TagxaiError, match="no format of labels named 'srt'"):
        explanation.to_labels("srt")


def test_a_difference_is_signed_and_of_one_clip(explanation):
    other = replace(explanation, scores=explanation.scores.flip(1), method="other")
    found = explanation - other
    assert torch.equal(found.scores, explanation.scores - other.scores)
    assert (found.method, found.is_mask) == ("random - other", False)
    assert found.settings == {"1.seed": 0, "2.seed": 0}
    with pytest.raises(TagxaiError, match="join"):
        explanation - replace(other, merge="mean")
    clip = explanation.generation
    with pytest.raises(TagxaiError, match="different clips"):
        explanation - replace(other, generation=replace(clip, prompt="a cat barks while rain falls"))
