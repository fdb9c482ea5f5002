"""Views of an attribution in words and seconds, and its files."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import tagxai
from tagxai.errors import DamagedFileError, TagxaiError


def test_token_scores_are_means_over_the_interval(explanation):
    whole = explanation.per_token()
    assert [score.text for score in whole] == list(explanation.generation.tokens)
    assert whole[2].score == pytest.approx(120 + 2)  # frames 0..24, 10 a frame
    assert explanation.per_token(0.2, 0.4)[2].score == pytest.approx(70 + 2)


def test_words_add_up_their_tokens_and_masks_average_them(explanation):
    generation = explanation.generation
    mask = tagxai.Attribution(generation, explanation.scores, "test", merge="mean")
    for word, added, averaged in zip(explanation.words(), explanation.per_word(), mask.per_word(), strict=True):
        parts = [explanation.per_token()[token].score for token in word.tokens]
        assert added.score == pytest.approx(sum(parts))
        assert averaged.score == pytest.approx(sum(parts) / len(parts))
    assert sum(score.score for score in explanation.per_phrase()) == pytest.approx(
        sum(score.score for score in explanation.per_token())
    )


def test_the_end_of_sentence_is_a_word_of_its_own(explanation):
    assert explanation.per_word()[-1].text == "</s>"


def test_a_mask_is_taken_as_it_is_and_other_scores_are_scaled(explanation):
    assert explanation.to_mask().min() == 0
    assert explanation.to_mask().max() == 1
    flat = tagxai.Attribution(explanation.generation, torch.zeros_like(explanation.scores), "test")
    assert (flat.to_mask() == 1).all()


def test_what_is_saved_is_loaded(explanation, tmp_path):
    loaded = tagxai.Attribution.load(explanation.save(tmp_path / "new" / "folder"))
    assert torch.equal(loaded.scores, explanation.scores)
    assert torch.equal(loaded.generation.record["codes"], explanation.generation.record["codes"])
    assert loaded.per_word() == explanation.per_word()
    torch.testing.assert_close(
        loaded.generation.waveform, explanation.generation.waveform.clamp(-1, 1), atol=1e-6, rtol=0
    )
    for field in ("method", "settings", "merge", "is_mask", "cost", "versions"):
        assert getattr(loaded, field) == getattr(explanation, field)
    for field in ("prompt", "seed", "timeline", "spans", "settings", "generator", "frame_rate"):
        assert getattr(loaded.generation, field) == getattr(explanation.generation, field)


def test_saving_leaves_no_temporary_files(explanation, tmp_path):
    explanation.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "explanation.json",
        "original.flac",
        "scores.safetensors",
    ]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
@pytest.mark.parametrize("name", ["scores.safetensors", "original.flac"])
def test_a_damaged_file_is_one_sentence(explanation, tmp_path, damage, name):
    explanation.save(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(DamagedFileError, match=f"{name} is missing or not the file"):
        tagxai.Attribution.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content.update(schema_version=99), "schema version 99; this tagxai reads 1 to 3"),
        (lambda content: content.update(schema="other"), "not a tagxai explanation"),
        (lambda content: content.pop("generation"), "damaged"),
        (lambda content: content["generation"].update(tokens=["a"]), "damaged"),
        (lambda content: content.update(sha256=[]), "damaged"),
        (lambda content: content["generation"].update(frame_rate=50.0), "changed after it was written"),
        (lambda content: content["words"][0].update(score=9.0), "changed after it was written"),
    ],
)
def test_a_json_that_is_not_what_was_written_is_one_sentence(explanation, tmp_path, change, sentence):
    explanation.save(tmp_path)
    path = tmp_path / "explanation.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedFileError, match=sentence):
        tagxai.Attribution.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\x01"])
def test_a_json_that_is_none_is_one_sentence(explanation, tmp_path, text):
    explanation.save(tmp_path)
    (tmp_path / "explanation.json").write_text(text)
    with pytest.raises(DamagedFileError, match=r"explanation\.json is damaged"):
        tagxai.Attribution.load(tmp_path)


def test_a_folder_without_explanation_is_one_sentence(tmp_path):
    with pytest.raises(DamagedFileError, match=r"explanation\.json is missing"):
        tagxai.Attribution.load(tmp_path)


def test_an_output_folder_that_is_a_file_is_one_sentence(explanation, tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TagxaiError, match="is a file or lies below one"):
            explanation.save(path)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(explanation, value):
    scores = explanation.scores.clone()
    scores[0, 0, 0] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        tagxai.Attribution(explanation.generation, scores, "test")


def test_scores_of_the_wrong_shape_are_refused(explanation):
    with pytest.raises(ValueError, match="do not fit a generation"):
        tagxai.Attribution(explanation.generation, explanation.scores[:, :-1], "test")


def test_a_deviation_is_saved(explanation, tmp_path):
    explanation.save(tmp_path / "plain")
    assert tagxai.Attribution.load(tmp_path / "plain").deviation is None
    with_one = replace(explanation, deviation=explanation.scores.abs() / 3)
    with_one.save(tmp_path / "with")
    assert torch.equal(tagxai.Attribution.load(tmp_path / "with").deviation, with_one.deviation)


def test_the_deviation_of_a_word_bounds_that_of_its_scores_over_seeds(explanation):
    each = torch.rand(5, *explanation.scores.shape, generator=torch.Generator().manual_seed(0))
    several = replace(explanation, scores=each.mean(0), deviation=each.std(0, correction=0))
    units = several.words()
    of_words = torch.stack([replace(explanation, scores=scores).over_time(units) for scores in each])
    assert (of_words.std(0, correction=0) <= several.deviation_over_time(units) + 1e-6).all()
    together = each * 0 + each.mean((1, 2, 3), keepdim=True)  # all scores of a seed are alike: the bound is reached
    several = replace(explanation, scores=together.mean(0), deviation=together.std(0, correction=0))
    of_words = torch.stack([replace(explanation, scores=scores).over_time(units) for scores in together])
    torch.testing.assert_close(of_words.std(0, correction=0), several.deviation_over_time(units))
    with pytest.raises(tagxai.TagxaiError, match="no spread over seeds"):
        explanation.plot_deviation()


def test_a_deviation_of_another_shape_than_the_scores_is_refused(explanation):
    fields = SimpleNamespace(**vars(explanation) | {"deviation": explanation.scores[:, :-1]})
    with pytest.raises(ValueError, match="does not fit scores of shape"):  # past the type check that only runs in tests
        tagxai.Attribution.__post_init__(fields)
