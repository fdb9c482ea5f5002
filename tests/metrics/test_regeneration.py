"""Metrics that sample new clips: their definitions, the noise floor, matched masks, removal; the order of controls."""

from dataclasses import replace
from math import log

import pytest
import torch

from tagxai import Attribution, TagxaiError, load_generator
from tagxai.classifiers import Classifier
from tagxai.metrics.families.regeneration import top_share
from tagxai.metrics.fid import change
from tagxai.metrics.kl import FactualKL, PaperCounterfactualKL, PaperFactualKL, divergence
from tagxai.metrics.removal import Removal, top_words
from tagxai.registering.registry import registry

pytest.importorskip("tagxai_analytic")


class Tones(Classifier):
    """For how much of the clip each of the analytic model's tones sounds."""

    labels, sample_rate, exclusive = ("440 Hz", "660 Hz"), 16_000, False

    def __init__(self):
        self.clips = 0

    def probabilities(self, waveform):
        self.clips += len(waveform)
        power = torch.fft.rfft(waveform.unflatten(1, (-1, 1600))).abs()[..., [44, 66]]  # bins of 10 Hz, 0.1 s frames
        return (power > 1).float().mean(1)


@pytest.fixture
def tones(monkeypatch):
    judge = Tones()
    monkeypatch.setattr("tagxai.metrics.families.sampled_clips.load_classifier", lambda name: judge)
    return judge


@pytest.fixture
def model():
    return load_generator("analytic")


@pytest.mark.parametrize("seed", range(3))
def test_divergence_is_the_sum_of_its_definition(seed):
    drawn = torch.Generator().manual_seed(seed)
    p, q = (torch.rand(2, 5, generator=drawn, dtype=torch.float64) for _ in range(2))
    yes_and_no = [
        sum(a * (log(a) - log(b + 1e-6)) for x, y in zip(pr, qr, strict=True) for a, b in ((x, y), (1 - x, 1 - y)))
        for pr, qr in zip(p.tolist(), q.tolist(), strict=True)
    ]
    assert divergence(p, q, exclusive=False) == pytest.approx(sum(yes_and_no) / 2)
    p, q = p.softmax(1), q.softmax(1)
    classes = [
        sum(a * (log(a) - log(b + 1e-6)) for a, b in zip(pr, qr, strict=True))
        for pr, qr in zip(p.tolist(), q.tolist(), strict=True)
    ]
    assert divergence(p, q) == pytest.approx(sum(classes) / 2)
    frames = q.reshape(1, 2, 5)
    less = sum(abs(a - b) for x, y in zip(p.tolist(), q.tolist(), strict=True) for a, b in zip(x, y, strict=True))
    most = sum(max(a, b) for x, y in zip(p.tolist(), q.tolist(), strict=True) for a, b in zip(x, y, strict=True))
    assert change(p, frames) == pytest.approx(less / most)
    assert change(p, p[None]) == change(0 * p, 0 * frames) == 0.0
    assert change(p, 0 * frames) == 1.0


def test_divergence_is_finite_where_a_probability_is_zero():
    sure = torch.tensor([[1.0, 0.0]])
    assert divergence(sure, sure.flip(1)) == pytest.approx(log(1e6), rel=1e-5)
    assert divergence(sure, sure) == pytest.approx(0, abs=2e-6)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_matched_masks_have_one_size_at_every_step_and_keep_the_best(share):
    mask = torch.randint(0, 4, (20, 7), generator=torch.Generator().manual_seed(0)) / 4
    matched = top_share(mask, share)
    torch.testing.assert_close(matched.mean(1), torch.full((20,), share))
    for row, kept in zip(mask, matched, strict=True):
        for i in range(7):
            better = sum(other > row[i] for other in row).item()
            assert (kept[i] == 0) == (better >= share * 7)
    torch.testing.assert_close(top_share(torch.ones(3, 7), share), torch.full((3, 7), share))


def masks_of(clip, model):
    """A mask of the words that act, this under noise, and noise alone."""
    truth = model.truth(clip)
    units = truth.units(clip)
    acts = torch.zeros(clip.frames, len(clip.tokens))
    for unit, row in zip(units, truth.mask, strict=False):
        acts[:, list(unit.tokens)] = float(row.any())
    noise = torch.rand(acts.shape, generator=torch.Generator().manual_seed(clip.seed))
    made = {"oracle": acts, "degraded": 0.6 * acts + 0.4 * noise, "random": noise}
    return {kind: Attribution(clip, mask[None], "random", is_mask=True, merge="mean") for kind, mask in made.items()}


@pytest.mark.parametrize("kind_of_mask", ["own", "matched"])
def test_the_oracle_beats_a_degraded_oracle_which_beats_chance(model, tones, kind_of_mask):
    clips = [model.generate(p, duration=3.0, seed=s) for s, p in enumerate(["the bell of it and rain", "a siren here"])]
    for name in ("kl_f_paper", "kl_cf_paper", "fid_f", "fid_cf"):
        metric = registry().metric(name)(mask=kind_of_mask, repeats=4, seeds="next", per="clip")
        means = {"oracle": 0.0, "degraded": 0.0, "random": 0.0}
        for clip in clips:
            for kind, attribution in masks_of(clip, model).items():
                means[kind] += metric.score(model, clip, attribution) / len(clips)
        sign = 1 if metric.higher_is_better else -1
        found = [sign * means[kind] for kind in ("oracle", "degraded", "random")]
        if kind_of_mask == "own":
            assert found[0] > found[1] > found[2], (name, means)
        else:  # of the best half, hardly anything is lost by noise; chance loses
            assert found[0] >= found[1] > found[2], (name, means)


def test_a_mask_of_ones_is_one_noise_floor_and_zeros_are_the_unconditional_clip(model, tones):
    clip = model.generate("the bell of it", duration=2.0, seed=3)
    shape = (1, clip.frames, len(clip.tokens))
    ones, zeros = (Attribution(clip, make(shape), "random", is_mask=True) for make in (torch.ones, torch.zeros))
    assert PaperFactualKL(unit="noise_floor").score(model, clip, ones) == 1.0
    assert PaperCounterfactualKL(unit="noise_floor").score(model, clip, zeros) == 1.0
    assert FactualKL(mask="own").score(model, clip, ones) == pytest.approx(0, abs=1e-5)  # it is the original
    with pytest.raises(TagxaiError, match="needs seeds=next"):
        FactualKL(unit="noise_floor")
    bare = torch.stack(
        [
            tones([model.generate(clip.prompt, duration=2.0, seed=s, branch="unconditional").waveform], 16_000)[0]
            for s in (4, 5)
        ]
    )
    original = tones([clip.waveform], 16_000)
    assert PaperFactualKL().score(model, clip, zeros) == pytest.approx(divergence(bare, original, exclusive=False))
    assert PaperFactualKL(reverse=True).score(model, clip, zeros) == pytest.approx(
        divergence(original.expand(2, -1), bare, exclusive=False)
    )


def test_metrics_of_one_mask_share_its_clips(model, tones):
    clip = model.generate("the bell of it", duration=1.0, seed=3)
    attribution = Attribution(clip, torch.rand(1, 10, len(clip.tokens)), "random", is_mask=True)
    made = []
    generate = model.generate_many
    model.generate_many = lambda requests, **options: made.extend(requests) or generate(requests, **options)
    for name in ("kl_f", "fid_f", "kl_f"):
        registry().metric(name)().score(model, clip, attribution)
    assert len(made) == 1
    halved = replace(attribution, scores=attribution.scores / 2)
    registry().metric("kl_f")().score(model, clip, halved)  # the same tokens are the best half
    assert len(made) == 1
    for _ in range(2):
        registry().metric("kl_f_paper")().score(model, clip, halved)
    assert len(made) == 3


@pytest.mark.parametrize("name", ["kl_f", "fid_cf", "kl_cf_paper", "removal_1", "removal_2"])
def test_what_is_prepared_is_what_would_be_made_one_by_one(name, tones):
    metric = registry().metric(name)()
    masks = [torch.rand(1, 10, 5, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]

    def values(*, prepare):
        """The metric's values on a model that remembers nothing yet, and how many batches of clips these took."""
        model, batches = load_generator("analytic"), []
        clip = model.generate("the bell of it", duration=1.0, seed=3)
        explained = [Attribution(clip, mask, "random", is_mask=True) for mask in masks]
        generate = model.generate_many
        model.generate_many = lambda requests, **options: batches.append(len(requests)) or generate(requests, **options)
        if prepare:
            metric.prepare(model, explained)
            assert len(batches) == 1
        return [metric.score(model, clip, each) for each in explained], len(batches)

    alone, together = values(prepare=False), values(prepare=True)
    assert together[0] == alone[0]
    assert together[1] == 1


def test_without_noise_there_is_no_floor_to_divide_by(tones):
    linear = load_generator("analytic:linear")
    clip = linear.generate("the bell", duration=1.0)
    attribution = Attribution(clip, torch.ones(1, 10, len(clip.tokens)), "random", is_mask=True)
    assert PaperFactualKL().score(linear, clip, attribution) == pytest.approx(0, abs=1e-5)
    with pytest.raises(TagxaiError, match="no noise floor"):
        PaperFactualKL(unit="noise_floor").score(linear, clip, attribution)


def test_kl_is_the_mean_over_frames_of_a_classifier_that_has_them(model, tones, monkeypatch):
    """Two clips whose tones differ in half of their frames, heard frame by frame."""

    def per_frame(waveform):
        power = torch.fft.rfft(waveform.unflatten(1, (-1, 1600))).abs()[..., [44, 66]]
        return (power > 1).float() * 0.9

    monkeypatch.setattr(tones, "frame_probabilities", per_frame)
    clip = model.generate("the bell of it", duration=1.0, seed=3, temperature=0.0)
    zeros = Attribution(clip, torch.zeros(1, clip.frames, len(clip.tokens)), "random", is_mask=True)
    # without the prompt no code is drawn: every frame loses the bell's tone, which was heard with 0.9
    found = FactualKL(mask="own").score(model, clip, zeros)
    assert found == pytest.approx(-log(0.1 + 1e-6), rel=1e-5)
    assert registry().metric("fid_f")(mask="own").score(model, clip, zeros) == 1.0


# -- removal ---------------------------------------------------------------------------------------------------------


def test_removing_the_word_that_acts_takes_its_tone_away_and_others_do_not(model, tones):
    clip = model.generate("the bell of it", duration=3.0, seed=1)
    place = {word: i for i, word in enumerate(["the", "bell", "of", "it"])}

    def scores(*order):
        values = torch.zeros(1, clip.frames, len(clip.tokens))
        for value, word in enumerate(reversed(order)):
            values[..., place[word]] = value + 1.0
        return Attribution(clip, values, "random")

    removal = {k: registry().metric(f"removal_{k}")(repeats=4) for k in (1, 2, 3)}
    right, late, wrong = scores("bell"), scores("of", "bell"), scores("of", "it", "the")
    assert removal[1].score(model, clip, right) > 0.25  # sigmoid(1) - sigmoid(-1) = 0.46, over 120 draws each
    assert removal[1].score(model, clip, late) == 0  # the same seeds, and nothing that acts is gone
    assert removal[2].score(model, clip, late) == removal[1].score(model, clip, right)
    assert removal[3].score(model, clip, wrong) == 0


def test_a_prompt_of_which_all_words_are_removed_is_no_prompt(model, tones):
    clip = model.generate("bell", duration=2.0, seed=1)
    attribution = Attribution(clip, torch.ones(1, clip.frames, len(clip.tokens)), "random")
    whole, bare = (
        sum(
            tones([model.generate("bell", duration=2.0, seed=s, branch=branch).waveform], 16_000)[0, 0].item()
            for s in (2, 3)
        )
        for branch in ("guided", "unconditional")
    )
    assert Removal().score(model, clip, attribution) == pytest.approx((whole - bare) / 2)


def test_equal_words_are_drawn_and_not_taken_in_their_order():
    assert top_words([1.0, 3.0, 2.0], 2) == [1, 2]
    assert top_words([1.0] * 8, 3) != [0, 1, 2]
    assert top_words([1.0, 2.0], 5) == [1, 0]


@pytest.mark.parametrize("spec", ["detector", None])
def test_the_embedded_model_is_judged_by_its_own_detector_and_others_by_passt(spec, monkeypatch, model):
    asked = []
    monkeypatch.setattr(
        "tagxai.metrics.families.sampled_clips.load_classifier", lambda name: asked.append(name) or Tones()
    )
    clip = model.generate("bell", duration=1.0)
    attribution = Attribution(clip, torch.ones(1, 10, len(clip.tokens)), "random", is_mask=True)
    FactualKL(classifier=spec).score(model, clip, attribution)
    assert set(asked) == {spec or "passt"}
    asked.clear()
    monkeypatch.setattr(type(model), "name", "tiny")
    FactualKL(classifier=spec).score(model, clip, attribution)
    assert set(asked) == {"detector"}
