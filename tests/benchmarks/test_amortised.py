"""The experiment of benchmarks/amortised.py: the network against its formula, that it learns, one pass, refusals."""

from math import erf, sqrt

import amortised
import amortised_tables
import pytest
import torch
from amortised_explainer import Amortised, fingerprint, predict
from amortised_learning import Lessons, error, first_weights, learn, stack

from tagxai import storage
from tagxai.contract.timeline import DelayPattern
from tagxai.errors import DamagedFileError, TagxaiError, UnsupportedError
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.metrics.intervals import Interval
from tagxai.testing import check_method, random_checkpoint


@pytest.fixture
def explainer(generator, generation, tmp_path):
    """With weights at random, of the right shapes."""
    lessons = stack([amortised.lesson(generator, generation, TEACHER)], *TEACHER, generation.timeline)
    weights = first_weights(lessons, 8, torch.Generator().manual_seed(0))
    path = tmp_path / "amortised.safetensors"
    storage.write_tensors(path, {**weights, "generator": fingerprint(generator)})
    return Amortised(str(path))


TEACHER = ["occlusion, guided"]


TIMELINE = DelayPattern(7, 25.0, (0, 2))


def bilinear_lessons(clips, seed, tokens=5, timeline=TIMELINE):
    """Effects that are a product of a linear form of the state and one of the token, seen through the delays."""
    random = torch.Generator().manual_seed(seed)
    hidden = torch.randn(clips, timeline.positions, 4, generator=random)
    embeddings = torch.randn(clips, tokens, 3, generator=random)
    embeddings = torch.cat([embeddings, embeddings.sum(-1, keepdim=True)], dim=-1)
    product = (hidden @ torch.tensor([1.0, -1, 0, 2]))[:, :, None] * (embeddings @ torch.tensor([1.0, 0, 1, 0]))[
        :, None
    ]
    frames = timeline.frames
    effects = [(q + 1) * product[:, delay : delay + frames] for q, delay in enumerate(timeline.delays)]
    real = torch.ones(clips, tokens, dtype=torch.bool)
    return Lessons(hidden, embeddings, real, torch.stack(effects, dim=1), timeline)


def test_the_network_is_its_formula():
    lessons = bilinear_lessons(2, 0)
    weights = first_weights(lessons, 6, torch.Generator().manual_seed(1))
    for name in "abuw":
        weights[name] = torch.randn(weights[name].shape, generator=torch.Generator().manual_seed(ord(name)))

    def gelu(vector):
        return torch.tensor([x * (1 + erf(x / sqrt(2))) / 2 for x in vector.tolist()])

    found = predict(weights, lessons.hidden, lessons.embeddings)
    assert found.shape == (2, 2, 9, 5)
    for clip, step, token in ((0, 0, 0), (1, 8, 4), (1, 3, 2)):
        h = (lessons.hidden[clip, step] - weights["hidden_mean"]) / weights["hidden_scale"]
        e = (lessons.embeddings[clip, token] - weights["embedding_mean"]) / weights["embedding_scale"]
        pair = gelu(weights["A"] @ h + weights["a"]) * (weights["B"] @ e + weights["b"])
        expected = (weights["W"] @ gelu(weights["U"] @ pair + weights["u"]) + weights["w"]) * weights["effect_scale"]
        assert torch.allclose(found[clip, :, step, token], expected, atol=1e-5)


def test_an_effect_that_is_a_product_of_state_and_token_is_learned():
    seen, unseen = (bilinear_lessons(clips, seed) for clips, seed in ((32, 0), (8, 1)))
    before = learn(seen, unseen, units=16, epochs=1, learning_rate=0.0)
    after = learn(seen, unseen, units=16, epochs=12, learning_rate=0.03, dropout=0.0)
    with torch.no_grad():
        assert error(before, unseen) > 0.8
        assert error(after, unseen) < 0.05


def test_learning_depends_on_its_seed_alone():
    lessons = bilinear_lessons(6, 0)
    first, again, other = (learn(lessons, lessons, units=4, epochs=2, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["U"], other["U"])


def test_padding_counts_for_nothing():
    lessons = bilinear_lessons(3, 0)
    weights = first_weights(lessons, 4, torch.Generator().manual_seed(0))
    parts = [
        {"hidden": lessons.hidden[i], "embeddings": lessons.embeddings[i, :n], "t": lessons.effects[i, ..., :n]}
        for i, n in enumerate((2, 5, 3))
    ]
    together = error(weights, stack(parts, "t", lessons.timeline))
    alone = [error(weights, stack([part], "t", lessons.timeline)) for part in parts]
    weighed = sum(n * error for n, error in zip((2, 5, 3), alone, strict=True)) / 10
    assert torch.allclose(together, weighed)


def test_the_explainer_keeps_the_contract(explainer, generator):
    check_method(explainer, generator)


def test_a_clip_is_explained_in_one_pass(explainer, generator, generation, monkeypatch):
    rows, states = [], generator._states

    def counted(columns, *more):
        rows.append(len(columns))
        return states(columns, *more)

    monkeypatch.setattr(generator, "_states", counted)
    found = explainer.attribute(generator, generation)
    assert rows == [1]
    assert found.cost.forward_passes == 1
    assert found.scores.shape == (*generation.record["codes"].shape, len(generation.tokens))


def test_what_it_cannot_work_with_is_refused_in_one_sentence(explainer, generator, generation, tmp_path, monkeypatch):
    with pytest.raises(TagxaiError, match="needs weights=FILE, and '' is no file"):
        Amortised().attribute(generator, generation)
    other = TransformersGenerator.load(str(random_checkpoint(tmp_path / "other", seed=1)))
    with pytest.raises(UnsupportedError, match="another generator than 'musicgen'"):
        explainer.attribute(other, generation)
    storage.write_tensors(tmp_path / "else.safetensors", {"A": torch.zeros(1)})
    with pytest.raises(DamagedFileError, match="does not hold the weights"):
        Amortised(str(tmp_path / "else.safetensors")).check_supported(generator)
    monkeypatch.setattr(generator, "parameters_by_part", dict)
    with pytest.raises(UnsupportedError, match="does not show the weights"):
        explainer.check_supported(generator)


@pytest.mark.parametrize(
    ("difference", "seconds", "one_pass", "expected"),
    [
        (Interval(-0.2, -0.3, -0.1), 9.0, False, True),  # a better method, at any cost
        (Interval(0.0, -0.1, 0.1), 9.0, False, False),  # as good, and slower
        (Interval(0.0, -0.1, 0.1), 1.2, True, True),  # as good, as fast, and in need of no training
        (Interval(0.0, -0.1, 0.1), 2.0, True, False),  # as good, but slower
        (Interval(0.2, 0.1, 0.3), 1.0, True, False),  # worse
        (Interval(-0.2), 9.0, False, True),  # too few clips for an interval
    ],
)
def test_what_rules_the_explainer_out(difference, seconds, one_pass, expected):
    assert amortised_tables.ruled_out(difference, seconds, 1.0, one_pass=one_pass) is expected


def test_the_table_says_what_takes_its_place():
    def record(**precisions):
        figures = {"hit@1": 1.0, "pointing game": 0.5}
        return {
            "methods": {
                name: {"seconds": 0.01, "figures": {**figures, "average precision": value}}
                for name, value in precisions.items()
            }
        }

    unknown = {"methods": {"amortised": {"seconds": 0.01, "figures": None}}}
    kept = {"0": record(amortised=0.5, alti=0.6, random=0.1), "1": record(amortised=0.3, alti=0.6, random=0.1)}
    found = amortised_tables.tables({**kept, "2": unknown})
    assert "2 test clips with confirmed words of events, of 3." in found
    assert "| amortised | 1.000 [0.158, 1.000] | 0.500 | 0.400 | 10 |" in found
    assert "| alti | +0.00 | +0.00 | -0.20 |" in found
    assert found.endswith("no, not beside alti.")
    alone = {key: record(amortised=0.5, random=0.1) for key in "01"}
    assert amortised_tables.tables(alone).endswith("cost? yes.")
    assert "take more" in amortised_tables.tables({"2": unknown})
