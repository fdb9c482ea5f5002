"""Metrics of faithfulness on the analytic model, where the right values are known."""

import pytest
import torch
from faithful_games import any_game

from tagxai import Attribution, TagxaiError, load_generator
from tagxai.errors import UnsupportedError
from tagxai.metrics.families.faithfulness import ScoringMetric, beside_absences, event_units
from tagxai.metrics.share_of_optimum import ShareOfOptimum
from tagxai.registering.registry import registry

analytic = pytest.importorskip("tagxai_analytic")


BY_SCORING = [name for name, entry in registry().metrics.items() if issubclass(entry.cls, ScoringMetric)]


PROMPTS = [  # whose words act one by one: the exact values are then the best that any of these metrics can see
    "the bell then thunder and rain quietly",
    "a siren and distant echo while bell",
    "thunder with echo and a siren here",
    "rain and the bell quietly while echo",
]


@pytest.fixture(scope="module")
def model():
    return load_generator("analytic")


@pytest.fixture(scope="module")
def explained(model):
    """Clips with the exact Shapley values, these under noise, and noise alone."""
    found = []
    for seed, prompt in enumerate(PROMPTS):
        clip = model.generate(prompt, duration=1.0, seed=seed)
        exact = analytic.ClosedForm(clip, "delete").shapley().float()
        noise = torch.randn(exact.shape[-1], generator=torch.Generator().manual_seed(seed))
        noise = noise * exact.mean((0, 1)).std()
        chance = noise.expand_as(exact).contiguous()
        for kind, scores in (("oracle", exact), ("degraded", exact + 0.7 * chance), ("random", chance)):
            found.append((kind, clip, Attribution(clip, scores, "random")))
    return found


@pytest.mark.parametrize("name", BY_SCORING)
def test_the_oracle_beats_a_degraded_oracle_which_beats_chance(name, model, explained):
    metric = registry().metric(name)()
    means = {"oracle": 0.0, "degraded": 0.0, "random": 0.0}
    for kind, clip, attribution in explained:
        means[kind] += metric.score(model, clip, attribution) / len(PROMPTS)
    sign = 1 if metric.higher_is_better else -1
    assert sign * means["oracle"] > sign * means["degraded"] > sign * means["random"], means


def test_a_word_that_does_all_has_its_closed_form(model):
    linear = load_generator("analytic:linear")
    clip = linear.generate("the bell of a house", duration=0.5)
    scores = analytic.ClosedForm(clip, "delete").shapley().float()
    attribution = Attribution(clip, scores, "random")
    lost = 2 / 32 / 2  # nats a code: the bell's strength, at codes of one of two codebooks
    metrics = {name: registry().metric(name)() for name in BY_SCORING}
    expected = {
        "comprehensiveness": lost,
        "sufficiency": 0.0,
        "perturbation_curves": 4 / 5,
        "share_of_optimum": 1.0,
        "infidelity": 0.0,
        "linear_datamodelling": 1.0,
        "soft_sufficiency": 1.0,
        "soft_comprehensiveness": 1.0,
    }
    found = {name: metric.score(linear, clip, attribution) for name, metric in metrics.items()}
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", BY_SCORING)
def test_operators_of_attention_are_refused_where_there_is_none(name, model):
    class Blind(type(model)):
        offers = frozenset()

    blind = Blind()
    clip = blind.generate("bell and rain", duration=0.5)
    attribution = Attribution(clip, torch.rand(1, 5, 4), "random")
    metric = registry().metric(name)
    with pytest.raises(UnsupportedError, match="choices: delete, null"):
        metric(operator="gate").score(blind, clip, attribution)
    assert metric(operator="null").score(blind, clip, attribution) is not None


def test_the_words_of_an_event_are_one_unit_and_other_words_stay_single(model):
    clip = model.generate("a dog then barks while wind and waves and gulls", duration=0.5)
    attribution = Attribution(clip, torch.rand(1, 5, len(clip.tokens)), "random")
    found = event_units(model, clip, attribution)
    assert [unit.text for unit in found if not unit.special] == [
        *("a", "dog then barks", "while", "wind and waves and gulls")
    ]
    assert sorted(token for unit in found for token in unit.tokens) == list(range(len(clip.tokens)))


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_beside_absences_is_the_largest_over_near_words(seed):
    """The definition, slowly: of removing R, and of removing it after each kept word that is near a word of R."""
    n, distance = 5, 2
    _, value = any_game(n, seed)

    def of(kept):
        return float(value(torch.tensor([[i in kept for i in range(n)]]))[0])

    masks = torch.rand(12, n, generator=torch.Generator().manual_seed(seed)) < 0.6
    found = beside_absences(value, distance)(masks)
    for row, each in zip(masks.tolist(), found.tolist(), strict=True):
        kept = {i for i in range(n) if row[i]}
        gone = set(range(n)) - kept
        losses = [of(set(range(n))) - of(kept)]
        for j in kept:
            if any(abs(i - j) <= distance for i in gone):
                losses.append(of(set(range(n)) - {j}) - of(kept - {j}))
        assert of(set(range(n))) - each == pytest.approx(max(losses))


def test_pair_aware_removal_sees_a_word_that_another_one_repeats():
    linear = load_generator("analytic:linear")
    clip = linear.generate("rain and drizzle", duration=0.5)  # either of them makes the sound
    scores = torch.tensor([1.0, 0.0, 0.5, 0.0]).expand(1, 5, 4).contiguous()
    attribution = Attribution(clip, scores, "random")
    comprehensive = registry().metric("comprehensiveness")
    # of the bins of 5 to 50 % of three words the last takes two, and so loses the sound in any case
    lost = 2 / 32 / 2
    assert comprehensive(beside=0).score(linear, clip, attribution) == pytest.approx(lost / 4, abs=1e-5)
    assert comprehensive().score(linear, clip, attribution) == pytest.approx(lost, abs=1e-5)


def test_a_prompt_that_does_nothing_is_refused_in_a_sentence(model):
    clip = model.generate("the house of a friend", duration=0.5)
    attribution = Attribution(clip, torch.rand(1, 5, len(clip.tokens)), "random")
    for name in ("perturbation_curves", "soft_sufficiency", "soft_comprehensiveness"):
        with pytest.raises(TagxaiError, match="no ranking matters"):
            registry().metric(name)().score(model, clip, attribution)
    with pytest.raises(TagxaiError, match="no ranking of this prompt's words is better"):
        ShareOfOptimum().score(model, clip, attribution)


def test_prompts_too_long_to_try_all_sets_are_refused(model):
    clip = model.generate(" ".join(["then"] * 12), duration=0.5)
    attribution = Attribution(clip, torch.rand(1, 5, len(clip.tokens)), "random")
    with pytest.raises(TagxaiError, match="expected 2 to 10"):
        ShareOfOptimum().score(model, clip, attribution)


def test_options_of_a_metric_are_read_from_text(model):
    metric = registry().metric("infidelity").configure({"operator": "gate", "samples": "8"})
    assert (metric.operator, metric.samples) == ("gate", 8)
    assert metric.settings() == {"operator": "gate", "units": "word", "beside": 0, "samples": 8, "seed": 20_000}
    with pytest.raises(TagxaiError, match="option of metric 'infidelity' named 'sample'; did you mean 'samples'"):
        registry().metric("infidelity").configure({"sample": "8"})
