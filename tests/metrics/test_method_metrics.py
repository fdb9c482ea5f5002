"""Metrics that ask the method again: randomised copies, other audio, other seeds, other words, noise."""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from tagxai import Method, TagxaiError
from tagxai.contract.metric import MethodMetric
from tagxai.contract.request import Request
from tagxai.contract.scores import Scores
from tagxai.errors import UnsupportedError
from tagxai.explaining.measuring import measure
from tagxai.laboratory.language.parsing import parse
from tagxai.metrics.families.randomising import copy_to_randomise, randomise
from tagxai.metrics.families.rank_correlation import explanation_agreement
from tagxai.metrics.max_sensitivity import MaxSensitivity, with_noise
from tagxai.metrics.model_randomisation import CascadingRandomisation, TextEncoderRandomisation
from tagxai.metrics.other_audio import OtherAudio, other_audio
from tagxai.metrics.paraphrase_robustness import ParaphraseRobustness, paraphrase
from tagxai.metrics.seed_robustness import SeedRobustness
from tagxai.registering.registry import registry

RANDOMISATIONS = ["cascading_randomisation", "cross_attention_randomisation", "text_encoder_randomisation"]


@dataclass(frozen=True)
class Reads(Method):
    """A method that reads the model (its hidden states by token), blended with one that does not."""

    name = "reads"
    blind: float = 0.0

    def explain(self, run):
        seen = run.hidden_states()[0, : run.generation.frames] @ run.conditioning.embeddings[0].T
        fixed = torch.randn(seen.shape, generator=torch.Generator().manual_seed(1)) * seen.std()
        return Scores(((1 - self.blind) * seen + self.blind * fixed)[None])


def weights_of(generator):
    return [weight.clone() for weight in generator.model.parameters()]


# -- randomisation ---------------------------------------------------------------------------------------------------


def test_parts_of_a_model_are_disjoint_and_are_all_of_the_decoder_layers(generator):
    parts = generator.parameters_by_part()
    assert list(parts) == ["heads", "layer1", "layer1.cross", "layer0", "layer0.cross", "text_encoder"]
    counted = Counter(id(weight) for part in parts.values() for weight in part)
    assert set(counted.values()) == {1}
    layers = generator.model.decoder.model.decoder.layers
    assert {id(w) for w in layers.parameters()} == {
        id(w) for name, part in parts.items() if name.startswith("layer") for w in part
    }


def test_audiocraft_names_the_same_parts(audiocraft_generator):
    parts = audiocraft_generator.parameters_by_part()
    assert list(parts) == ["heads", "layer1", "layer1.cross", "layer0", "layer0.cross", "text_encoder"]
    assert all(parts.values())
    copy = copy_to_randomise(audiocraft_generator)
    clip = copy.generate("a dog barks", duration=0.4)
    randomise(copy, ["text_encoder"], seed=0)
    changed = copy.forward(clip).log_prob
    assert not torch.equal(changed, audiocraft_generator.forward(clip).log_prob)


def test_shuffling_keeps_every_value_and_leaves_other_parts_and_the_original_alone(generator):
    before = weights_of(generator)
    copy = copy_to_randomise(generator)
    randomise(copy, ["layer1.cross"], seed=0)
    moved = {id(weight) for weight in copy.parameters_by_part()["layer1.cross"]}
    for weight, old in zip(copy.model.parameters(), before, strict=True):
        assert torch.equal(weight.flatten().sort().values, old.flatten().sort().values)
        if id(weight) not in moved:
            assert torch.equal(weight, old)
    assert any(not torch.equal(w, o) for w, o in zip(copy.model.parameters(), before, strict=True))
    assert all(torch.equal(w, o) for w, o in zip(generator.model.parameters(), before, strict=True))


@pytest.mark.parametrize("name", RANDOMISATIONS)
def test_a_method_that_reads_the_model_beats_a_blend_which_beats_one_that_does_not(name, generator, generation):
    metric, before = registry().metric(name)(), weights_of(generator)
    found = []
    for method in (Reads(), Reads(blind=0.6), registry().method("random")()):
        explained = method.attribute(generator, generation)
        found.append(metric.score_method(generator, generation, explained, method))
    assert found[0] < found[1] < found[2] == 1.0
    assert all(torch.equal(w, o) for w, o in zip(generator.model.parameters(), before, strict=True))


def test_the_cascade_randomises_from_the_heads_down_and_asks_after_each_stage(generator, generation):
    method = Reads()
    explained = method.attribute(generator, generation)
    copy = deepcopy(generator)
    expected = []
    for stage, parts in enumerate([["heads", "layer1"], ["layer1.cross", "layer0"], ["layer0.cross", "text_encoder"]]):
        randomise(copy, parts, seed=5 + stage)
        expected.append(explanation_agreement(method.attribute(copy, generation), explained))
    metric = CascadingRandomisation(stages=3, seed=5)
    assert metric.score_method(generator, generation, explained, method) == pytest.approx(sum(expected) / 3)


def test_a_generator_without_known_weights_is_refused():
    analytic = pytest.importorskip("tagxai_analytic").AnalyticGenerator()
    clip = analytic.generate("bell", duration=0.5)
    random = registry().method("random")()
    with pytest.raises(UnsupportedError, match="'analytic' does not report the weights of its parts"):
        TextEncoderRandomisation().score_method(analytic, clip, random.attribute(analytic, clip), random)


def test_other_audio_is_explained_otherwise_by_methods_that_hear_it_alone(generator, generation):
    found = []
    for method in (Reads(), Reads(blind=0.6), registry().method("random")()):
        found.append(OtherAudio().score_method(generator, generation, method.attribute(generator, generation), method))
    assert found[0] < found[1] < found[2] == 1.0


def test_the_other_audio_of_a_clip_is_made_once_for_all_methods_and_again_for_changed_weights(generator, generation):
    copied = deepcopy(generator)
    first = other_audio(copied, generation)
    (expected,) = copied.generate_many([Request.again(generation, seed=generation.seed + 1, branch="unconditional")])
    assert all(torch.equal(first.record[name], tensor) for name, tensor in expected.record.items())
    assert first.prompt == generation.prompt
    assert other_audio(copied, generation) is first
    assert other_audio(copied, replace(generation)) is not first
    with torch.no_grad():
        next(copied.model.parameters()).mul_(1)
    assert other_audio(copied, generation) is not first


# -- robustness ------------------------------------------------------------------------------------------------------


def test_a_method_without_a_seed_is_robust_to_it_and_chance_is_not(generator, generation):
    exact, chance = Reads(), registry().method("random")()
    score = SeedRobustness().score_method
    assert score(generator, generation, exact.attribute(generator, generation), exact) == 1
    assert abs(score(generator, generation, chance.attribute(generator, generation), chance)) < 0.2


@dataclass(frozen=True)
class ByWord(Method):
    """Scores that depend on the token's text, and with `place` on where it stands."""

    name = "by_word"
    place: float = 0.0

    def explain(self, run):
        value = [sum(map(ord, t)) % 17 + self.place * 40 * (i % 3) for i, t in enumerate(run.generation.tokens)]
        return Scores(torch.tensor(value).expand(1, run.generation.frames, -1).float())


def test_the_grammar_says_a_prompt_in_other_words_for_the_same_scene():
    prompt = "a dog barks while rain falls"
    for seed in range(3):
        other = paraphrase(prompt, seed)
        assert other != prompt
        assert parse(other).scene == parse(prompt).scene
    with pytest.raises(TagxaiError, match="cannot paraphrase 'colourless green ideas'"):
        paraphrase("colourless green ideas", 0)


def test_words_that_a_paraphrase_keeps_are_compared_wherever_they_stand(generator):
    clip = generator.generate("a dog barks while rain falls", duration=0.6)
    metric = ParaphraseRobustness({clip.prompt: "rain falls then a big dog barks"})
    for place, expected in ((0.0, 1.0), (1.0, None)):
        method = ByWord(place)
        found = metric.score_method(generator, clip, method.attribute(generator, clip), method)
        assert found == 1.0 if expected else found < 0.9
    unlike = ParaphraseRobustness({clip.prompt: "thunder"})
    with pytest.raises(TagxaiError, match="no word of meaning in common"):
        unlike.score_method(generator, clip, ByWord().attribute(generator, clip), ByWord())


@dataclass(frozen=True)
class Embeds(Method):
    """Scores that are the sums of the tokens' embeddings."""

    name = "embeds"

    def explain(self, run):
        return Scores(run.conditioning.embeddings[0].sum(-1).expand(1, run.generation.frames, -1).clone())


def test_max_sensitivity_is_the_largest_relative_change_of_scores_that_follow_the_embeddings(generator, generation):
    method = Embeds()
    explained = method.attribute(generator, generation)
    clean = generator.encode_prompt([generation.prompt]).embeddings[0]
    changes = []
    for seed in range(3):
        noisy = with_noise(generator, 0.2, seed).encode_prompt([generation.prompt]).embeddings[0]
        assert (noisy - clean).abs().max() <= 0.2 * clean.square().mean().sqrt() * 1.0001
        changes.append(((noisy - clean).sum(-1).norm() / clean.sum(-1).norm()).item())
    metric = MaxSensitivity(radius=0.2, samples=3)
    assert metric.score_method(generator, generation, explained, method) == pytest.approx(max(changes), rel=1e-4)
    deaf = registry().method("random")()
    assert metric.score_method(generator, generation, deaf.attribute(generator, generation), deaf) == 0
    assert torch.equal(generator.encode_prompt([generation.prompt]).embeddings[0], clean)


def test_noise_reaches_the_passes_of_a_method_and_is_that_of_the_token_in_any_batch(generator, generation):
    noisy = with_noise(generator, 0.5, 0)
    assert not torch.equal(noisy.forward(generation).hidden, generator.forward(generation).hidden)
    short, long = "a dog", "a dog barks while rain falls"
    together = noisy.encode_prompt([long, long]).embeddings
    assert torch.equal(together[0], together[1])
    padded, clean = noisy.encode_prompt([short, long]), generator.encode_prompt([short, long])
    assert torch.equal(padded.embeddings[0][~padded.mask[0]], clean.embeddings[0][~clean.mask[0]])


# -- one call for all ------------------------------------------------------------------------------------------------


def test_measure_finds_the_method_that_an_attribution_names(generator, generation):
    method = registry().method("random")(seed=4)
    explained = method.attribute(generator, generation)
    expected = SeedRobustness().score_method(generator, generation, explained, method)
    assert measure(SeedRobustness(), generator, explained) == expected
    assert measure(registry().metric("gini")(), generator, explained) == registry().metric("gini")().score(
        generator, generation, explained
    )
    with pytest.raises(TagxaiError, match="asks the method again: call score_method"):
        SeedRobustness().score(generator, generation, explained)
    with pytest.raises(TagxaiError, match="no method named 'gone'"):
        measure(SeedRobustness(), generator, replace(explained, method="gone"))


def test_the_page_of_metrics_names_them_all():
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [name for name, entry in registry().metrics.items() if f"`{name}`" not in page] == []


def test_metrics_that_ask_again_declare_what_all_metrics_do():
    for entry in registry().metrics.values():
        assert entry.cls.expense
        if issubclass(entry.cls, MethodMetric):
            assert entry.cls.family in ("robustness", "randomisation", "localisation")
