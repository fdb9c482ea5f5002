"""Truth with three values, and the twin test, in closed form on the analytic model."""

from dataclasses import replace

import pytest
import torch
from masks_by_word import mask_of

from tagxai import TagxaiError, load_generator
from tagxai.contract.truth import TrueWord, Truth
from tagxai.metrics.families.localisation import align
from tagxai.metrics.families.shares import share_of_words
from tagxai.metrics.families.word_time import average_precision
from tagxai.metrics.twins import TwinAveragePrecision, TwinShareLost
from tagxai.registering.registry import registry

pytest.importorskip("tagxai_analytic")

THREE_VALUED = [name for name in registry().metrics if name.endswith("_three_valued")]


@pytest.fixture(scope="module")
def model():
    return load_generator("analytic")


def test_gaps_are_the_silent_frames_between_a_words_own_sounds():
    mask = torch.tensor([[0, 1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 1]], dtype=torch.bool)
    truth = Truth(tuple(TrueWord(i, i + 1, "event", causal=True) for i in range(3)), mask, 10.0)
    slow = [[not row[f] and any(row[:f]) and any(row[f + 1 :]) for f in range(mask.shape[1])] for row in mask.tolist()]
    assert truth.gaps.tolist() == slow
    assert truth.gaps.sum().item() == 2 + 0 + 5


@pytest.fixture
def gappy(model):
    """A bell that sounds in frames 2, 4, 6 and 8 of ten, and filler."""
    clip = model.generate("a bell", duration=1.0, temperature=0.0)
    return replace(clip, record={"codes": torch.tensor([[0, 0, 1, 0, 1, 0, 1, 0, 1, 0], [0] * 10])})


def test_the_exact_interval_of_a_sound_is_perfect_by_three_values_and_not_by_two(model, gappy):
    interval = mask_of(gappy, {"bell": [0, 0, 1, 1, 1, 1, 1, 1, 1, 0]})
    for name in THREE_VALUED:
        assert registry().metric(name)().score(model, gappy, interval) == 1.0
        strict = registry().metric(name.removesuffix("_three_valued"))()
        assert strict.score(model, gappy, interval) < 1.0
    # four of the seven best cells are true; their order is any, so that each place is expected to be 4/7 true
    assert registry().metric("relevance_mass")().score(model, gappy, interval) == pytest.approx(4 / 7)
    assert registry().metric("pointing_game")().score(model, gappy, interval) == pytest.approx(4 / 7)


def test_silence_before_and_after_a_words_stretch_stays_false(model, gappy):
    early = mask_of(gappy, {"bell": [2, 2, 1, 0, 1, 0, 1, 0, 1, 0]})
    # two false cells come before four true ones: (1/3 + 2/4 + 3/5 + 4/6) / 4
    found = registry().metric("average_precision_three_valued")().score(model, gappy, early)
    assert found == pytest.approx((1 / 3 + 2 / 4 + 3 / 5 + 4 / 6) / 4)


def test_what_a_gap_scores_never_changes_a_three_valued_metric(model, gappy):
    noise = torch.rand(10, generator=torch.Generator().manual_seed(0)).tolist()
    for name in THREE_VALUED:
        values = set()
        for gap in (0.0, 0.5, 9.0):
            row = [gap if frame in (3, 5, 7) else noise[frame] for frame in range(10)]
            values.add(registry().metric(name)().score(model, gappy, mask_of(gappy, {"bell": row, "a": noise})))
        assert len(values) == 1


def test_a_negation_that_acts_is_true_in_every_frame_of_its_own_table(model):
    clip = model.generate("bell without siren", duration=1.0, temperature=0.0)
    found = align(mask_of(clip, {"without": [1.0] * 10}), model.truth(clip), "negation")
    assert found[1].any(1).tolist() == [False, True, False, False]
    assert found[1][1].all()
    assert average_precision(*found) == 1.0


# -- twins -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(model):
    """A clip of a bell (codebook 0) and rain (codebook 1), each code the more likely one, and its twin without rain."""
    clip = model.generate("a bell with rain", duration=1.0, temperature=0.0)
    return clip, model.twin(clip)


def test_the_twin_is_another_clip_of_the_same_prompt_whose_missing_words_are_true_nowhere(pair):
    clip, twin = pair
    assert twin.generation.prompt == clip.prompt
    assert clip.record["codes"].tolist() == [[1] * 10, [1] * 10]
    assert twin.generation.record["codes"].tolist() == [[1] * 10, [0] * 10]
    said = [clip.prompt[word.start : word.end] for word in twin.truth.words]
    assert [said[i] for i in twin.missing] == ["rain"]
    assert {word for word, row in zip(said, twin.truth.mask, strict=True) if row.any()} == {"bell"}
    assert twin.truth.words[twin.missing[0]].causal


def test_what_likelihood_says_of_twins_is_the_closed_form(model, pair):
    """Rain makes its code more likely in the clip, and the code of silence less likely in the twin."""
    clip, twin = pair
    method = registry().method("occlusion")(operator="delete")
    found = method.attribute(model, clip)
    log = torch.nn.functional.logsigmoid
    x = torch.tensor(1.0, dtype=torch.float64)  # logit -1 without the word, -1 + 2 with it
    gain = float(log(x) - log(-x))
    assert gain == pytest.approx(1.0)
    rows = {unit.text: found.over_time([unit])[0] for unit in found.words()}
    other = method.attribute(model, twin.generation)
    lacking = {unit.text: other.over_time([unit])[0] for unit in other.words()}
    for word in ("bell", "rain"):  # of one codebook of two
        torch.testing.assert_close(rows[word].double().mean() / rows["bell"].double().mean(), x)
    torch.testing.assert_close(lacking["bell"], rows["bell"])
    torch.testing.assert_close(lacking["rain"], -rows["rain"])
    assert TwinAveragePrecision().score_method(model, clip, found, method) == 1.0
    assert TwinShareLost().score_method(model, clip, found, method) == pytest.approx(0.5)  # from a half to nothing


def test_what_a_method_says_of_the_prompt_alone_fails_the_twin_test(model, pair):
    clip, twin = pair
    method = registry().method("cross_attention")(heads="0")  # equal attention to all tokens
    found = method.attribute(model, clip)
    units = twin.truth.units(clip)
    chance = average_precision(torch.ones(len(units), 10), *twin.truth.cells("event", len(units)))
    assert TwinAveragePrecision().score_method(model, clip, found, method) == pytest.approx(chance)
    assert TwinShareLost().score_method(model, clip, found, method) == pytest.approx(0.0)


def test_shares_are_of_positive_means_and_nothing_of_nothing():
    scores = torch.tensor([[1.0, 3.0], [-5.0, 4.0], [8.0, 8.0]])
    assert share_of_words(scores, [0], [0, 1]) == pytest.approx(0.5)  # -5 counts as 0
    assert share_of_words(-scores.abs(), [0], [0, 1]) == 0.0


@pytest.mark.parametrize("prompt", ["a bell", "the sound of nothing"])
def test_a_prompt_without_two_events_has_no_twin_and_metrics_say_so(model, prompt):
    clip = model.generate(prompt, duration=1.0, temperature=0.0)
    assert model.twin(clip) is None
    method = registry().method("random")()
    with pytest.raises(TagxaiError, match="needs a clip that lacks one of two events"):
        TwinShareLost().score_method(model, clip, method.attribute(model, clip), method)


def test_a_model_that_reads_no_past_needs_its_words_whenever_they_sound(model, gappy):
    now, read = model.truth(gappy, "now"), model.truth(gappy, "attention")
    assert torch.equal(now.mask, read.mask)
    exact = mask_of(gappy, {"bell": [0, 0, 1, 0, 1, 0, 1, 0, 1, 0]})
    assert registry().metric("needed_now")().score(model, gappy, exact) == 1.0
