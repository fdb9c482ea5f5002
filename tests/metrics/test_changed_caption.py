"""Metrics of pairs of captions, in closed form on the analytic model."""

import pytest
from masks_by_word import mask_of

from tagxai import load_generator
from tagxai.errors import NotApplicableError
from tagxai.explaining.measuring import measure
from tagxai.metrics.changed_caption import ChangedShare, ChangedTime, clip_of_changed, share_of_changed
from tagxai.registering.registry import registry
from tagxai.text.differing import differing
from tagxai.text.words import words

pytest.importorskip("tagxai_analytic")


@pytest.fixture(scope="module")
def model():
    return load_generator("analytic")


@pytest.fixture(scope="module")
def bell_and_rain(model):
    return model.generate("a bell with rain", duration=1.0, temperature=0.0)


def units_of(model, prompt):
    encoded = model.encode_prompt([prompt])
    return words(prompt, encoded.spans[0], encoded.tokens[0])


@pytest.mark.parametrize(
    ("clean", "changed", "sentence"),
    [
        ("A dog barks, then rain falls.", "a cat meows then rain falls", ["dog", "barks"]),
        ("rain falls", "rain falls softly", []),
        ("rain falls softly", "rain falls", ["softly"]),
        ("a loud violin and strings", "a loud trumpet and ", ["violin", "strings"]),
        ("the dog and the dog", "the dog and the cat", ["dog"]),
        ("rain - wind", "rain - waves", ["wind"]),
    ],
)
def test_words_that_a_changed_caption_replaces_or_leaves_out(model, clean, changed, sentence):
    units = units_of(model, clean)
    places = differing(units, changed)
    assert [units[place].text for place in places] == sentence
    assert list(places) == sorted(places)


def test_the_clip_of_the_changed_caption_lacks_its_words_and_is_shown_as_one_of_the_clean_caption(model, bell_and_rain):
    other = clip_of_changed(model, bell_and_rain, "a bell with fog")
    assert (other.prompt, other.tokens, other.seed) == (bell_and_rain.prompt, bell_and_rain.tokens, bell_and_rain.seed)
    assert bell_and_rain.record["codes"].tolist() == [[1] * 10, [1] * 10]
    assert other.record["codes"].tolist() == [[1] * 10, [0] * 10]
    assert clip_of_changed(model, bell_and_rain, "a bell with fog") is other
    assert clip_of_changed(model, bell_and_rain, "a dog with rain").record["codes"].tolist() == [[0] * 10, [1] * 10]


def test_shares_are_of_words_of_meaning(bell_and_rain):
    found = mask_of(bell_and_rain, {"a": [9.0] * 10, "bell": [0.5] * 10, "with": [9.0] * 10, "rain": [1.0, 0.0] * 5})
    assert share_of_changed(found, "a bell with fog") == pytest.approx(0.5)
    assert share_of_changed(found, "a bell without rain") == pytest.approx(9 / 10)  # a changed word of grammar counts


def test_what_likelihood_says_of_the_two_clips_follows_the_change(model, bell_and_rain):
    """Rain makes its code likelier in its own clip (1 nat) and the silence of the other clip less likely."""
    method = registry().method("occlusion")(operator="delete")
    found = method.attribute(model, bell_and_rain)
    assert share_of_changed(found, "a bell with fog") == pytest.approx(0.5)
    assert ChangedShare("a bell with fog").score_method(model, bell_and_rain, found, method) == 1.0
    # with drizzle, which says the same, the clip stays as it is
    assert ChangedShare("a bell with drizzle").score_method(model, bell_and_rain, found, method) == 0.0


def test_what_a_method_says_of_the_prompt_alone_does_not_follow_the_change(model, bell_and_rain):
    method = registry().method("cross_attention")(heads="0")  # equal attention to all tokens
    found = method.attribute(model, bell_and_rain)
    assert ChangedShare("a bell with fog").score_method(model, bell_and_rain, found, method) == pytest.approx(0.0)


def test_a_word_is_in_time_where_the_model_prefers_the_clean_caption(model):
    clip = model.generate("a bell and thunder", duration=1.0, temperature=0.0)  # thunder acts in the first half second
    early = [1.0] * 5 + [0.0] * 5
    score = ChangedTime("a bell and fog").score
    assert score(model, clip, mask_of(clip, {"thunder": early})) == 1.0
    assert score(model, clip, mask_of(clip, {"thunder": early[::-1]})) == -1.0
    assert score(model, clip, mask_of(clip, {"thunder": [1.0] * 10})) == 0.0
    assert score(model, clip, mask_of(clip, {"bell": early})) == 0.0  # a word that is not replaced
    # half of the frames, of which 3 of 5 are right: (3 - 2) / 5 of the pairs of frames agree
    assert score(model, clip, mask_of(clip, {"thunder": [1, 1, 1, 0, 0, 1, 1, 0, 0, 0]})) == pytest.approx(0.2)
    found = registry().method("occlusion")(operator="delete").attribute(model, clip)
    assert score(model, clip, found) == 1.0


@pytest.mark.parametrize(
    ("metric", "changed", "sentence"),
    [
        (ChangedShare, "", "needs a changed caption of 'a bell with rain', in a column `changed` beside it"),
        (ChangedTime, " ", "needs a changed caption of 'a bell with rain'"),
        (ChangedShare, "A bell, with rain!", "replaces no word of"),
        (ChangedTime, "a bell with rain and thunder", "replaces no word of"),
        (ChangedShare, "a dog with fog", "leaves no word of meaning of"),
        (ChangedTime, "a bell with drizzle", "is as likely under"),
    ],
)
def test_a_pair_that_cannot_be_measured_says_why(model, bell_and_rain, metric, changed, sentence):
    method = registry().method("random")()
    found = method.attribute(model, bell_and_rain)
    with pytest.raises(NotApplicableError, match=sentence):
        measure(metric(changed), model, found, method)
