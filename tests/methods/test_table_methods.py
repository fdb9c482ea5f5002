"""Methods that read a score table: against the table's own arithmetic, sampled against exact, and on odd prompts."""

import pytest
import torch

from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.methods.banzhaf import Banzhaf
from tagxai.methods.context_cite import ContextCite
from tagxai.methods.kernel_shap import KernelShap
from tagxai.methods.lime import Lime
from tagxai.methods.occlusion import Occlusion
from tagxai.methods.shapley import Shapley
from tagxai.methods.share_x_effect import ShareXEffect
from tagxai.registering.registry import registry
from tagxai.scoring import all_subsets, leave_one_out, score

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
METHODS = {
    "banzhaf": Banzhaf(samples=12),
    "context_cite": ContextCite(samples=12),
    "kernel_shap": KernelShap(samples=12),
    "lime": Lime(samples=12),
    "occlusion": Occlusion(),
    "share_x_effect": ShareXEffect(distance=2),
    "shapley": Shapley(exact_up_to=3, permutations=4),
}


def test_the_words_shapley_values_add_up_to_the_prompts_effect(generator, generation):
    explanation = Shapley().attribute(generator, generation)
    effect = (
        generator.forward(generation).log_prob[0] - generator.forward(generation, branch="unconditional").log_prob[0]
    )
    torch.testing.assert_close(explanation.scores.sum(-1), effect, **TOLERANCE)


def test_occlusion_is_what_each_word_takes_with_it(generator, generation):
    method = Occlusion(operator="null", by="phrase")
    explanation = method.attribute(generator, generation)
    units = explanation.phrases()
    table = score(generator, generation, units, leave_one_out(len(units)), operator="null").log_prob
    for unit, row in zip(units, table[1:], strict=True):
        torch.testing.assert_close(explanation.scores[..., list(unit.tokens)].sum(-1), table[0] - row, **TOLERANCE)


def test_sampled_shapley_values_are_within_their_stated_error_of_the_exact_ones(generator, generation):
    exact = Shapley().attribute(generator, generation)
    sampled = Shapley(exact_up_to=0, permutations=32, tolerance=1e-9).attribute(generator, generation)
    assert sampled.diagnostics["permutations"] == 32
    errors = torch.tensor(sampled.diagnostics["standard_errors"])
    assert (errors > 0).any()
    units = exact.words()
    apart = torch.stack(
        [(a.scores - b.scores)[..., list(unit.tokens)].sum() for unit in units for a, b in [(sampled, exact)]]
    )
    assert (apart.abs() <= 4 * errors + 1e-4).all()
    # marginal gains along an order add up to the whole, however few orders there are
    torch.testing.assert_close(sampled.scores.sum(-1), exact.scores.sum(-1), **TOLERANCE)


def test_sampling_stops_when_the_error_is_small(generator, generation):
    loose = Shapley(exact_up_to=0, tolerance=10.0).attribute(generator, generation)
    assert loose.diagnostics["permutations"] == 16  # two rounds
    assert loose.cost.forward_passes <= 16 * (len(loose.words()) + 1)
    strict = Shapley(exact_up_to=0, tolerance=1e-9, permutations=20).attribute(generator, generation)
    assert strict.diagnostics["permutations"] == 20


def test_another_seed_is_another_sample(generator, generation):
    one, other, again = (Lime(samples=12, seed=seed).attribute(generator, generation).scores for seed in (0, 1, 0))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_method_that_only_changes_the_text_needs_no_attention(generator, generation, monkeypatch):
    monkeypatch.setattr(type(generator), "offers", frozenset())
    with pytest.raises(UnsupportedError, match="needs attention"):
        Occlusion().attribute(generator, generation)
    assert Occlusion(operator="delete").attribute(generator, generation).scores.abs().max() > 0


@pytest.mark.parametrize(
    ("method", "options", "told"),
    [
        (Shapley, {"permutations": 2}, "option 'permutations' of method 'shapley' must be at least 4, not 2"),
        (Shapley, {"exact_up_to": 40}, "between 0 and 20, not 40"),
        (Shapley, {"tolerance": 0.0}, "must be positive"),
        (Lime, {"samples": 1}, "must be at least 3"),
        (Lime, {"kernel_width": 0.0}, "must be positive"),
        (ContextCite, {"penalty": -1.0}, "must be at least 0"),
        (KernelShap, {"samples": 2}, "must be at least 3"),
        (Banzhaf, {"samples": 0}, "must be at least 2"),
        (Occlusion, {"batch_size": 0}, "must be at least 1"),
        (Occlusion, {"operator": "values"}, "must be one of delete, null, attention, gate, value, not values"),
        (Occlusion, {"by": "letter"}, "must be one of word, phrase, token, not letter"),
    ],
)
def test_impossible_options_are_told_in_one_sentence(method, options, told):
    with pytest.raises(TagxaiError, match=told):
        method(**options)


LONG = "the loud dog barks and the small cat meows while the heavy rain falls on a tin roof and then thunder rolls "
ODD = {
    "one token": "a",
    "sixty tokens": (LONG * 3)[:250].rstrip(),
    "repeated words": "dog dog dog dog",
    "another script": "犬が吠える пёс лает",
    "end of text": "</s>",
}


@pytest.fixture(scope="module", params=ODD)
def odd_clip(request, generator):
    clip = generator.generate(ODD[request.param], duration=0.2, seed=0)
    if request.param == "sixty tokens":
        assert len(clip.tokens) >= 60
    return clip


@pytest.mark.parametrize("operator", ["value", "delete"])
@pytest.mark.parametrize("name", METHODS)
def test_odd_prompts_are_explained_rightly(name, operator, generator, odd_clip):
    method = METHODS[name].configure({**METHODS[name].settings(), "operator": operator})
    explanation = method.attribute(generator, odd_clip)
    words = explanation.words()
    assert sorted(token for word in words for token in word.tokens) == list(range(len(odd_clip.tokens)))
    if name in ("shapley", "kernel_shap"):  # efficient, whatever the prompt
        ends = torch.tensor([[True] * len(words), [False] * len(words)])
        whole, none = score(generator, odd_clip, words, ends, operator=operator).log_prob
        torch.testing.assert_close(explanation.scores.sum(-1), whole - none, atol=2e-3, rtol=1e-3)
    if len(words) <= 3 and name == "banzhaf":
        table = score(generator, odd_clip, words, all_subsets(len(words)), operator=operator)
        for i, word in enumerate(words):
            kept = table.masks[:, i]
            gain = table.log_prob[kept].mean(0) - table.log_prob[~kept].mean(0)
            torch.testing.assert_close(explanation.scores[..., list(word.tokens)].sum(-1), gain, **TOLERANCE)


def test_words_that_repeat_are_told_apart_by_place_and_deleted_alike(generator):
    clip = generator.generate("dog dog", duration=0.2, seed=0)
    deleted = Shapley(operator="delete").attribute(generator, clip)
    scores = [score.score for score in deleted.per_word()]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)  # "dog" is left, whichever goes
    assert scores[2] == 0  # `</s>` cannot be deleted
    cut = [score.score for score in Shapley().attribute(generator, clip).per_word()]
    assert cut[0] != pytest.approx(cut[1], abs=1e-5)  # their tokens have been encoded in their places


def test_every_table_method_is_tested_on_odd_prompts():
    from tagxai.methods.families.table import TableMethod

    assert set(METHODS) == {name for name, entry in registry().methods.items() if issubclass(entry.cls, TableMethod)}
