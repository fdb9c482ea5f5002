"""The network of `amortised:FILE` against its formula, one pass, and the files and generators that it refuses."""

import math

import pytest
import torch

from tagxai import storage
from tagxai.contract.run import Run
from tagxai.errors import DamagedFileError, TagxaiError, UnsupportedError
from tagxai.explaining.amortising.learning import Recipe, first_weights
from tagxai.explaining.amortising.lessons import batch_of, teach
from tagxai.explaining.loading import load_generator, make_method
from tagxai.methods.amortised import fingerprint
from tagxai.methods.amortised.network import FLOOR, clusters_of, look, memberships, predict
from tagxai.methods.cross_attention import CrossAttention
from tagxai.testing import check_method

RECIPE = Recipe(units=5)


@pytest.fixture(scope="module")
def lessons(generator):
    return [
        teach(generator, CrossAttention(), prompt, 0.4, seed) for seed, prompt in enumerate(["a dog barks", "rain"])
    ]


@pytest.fixture(scope="module")
def weights(lessons):
    """Every number at random, so that each takes part; for three clusters."""
    random = torch.Generator().manual_seed(1)
    found = first_weights(lessons, RECIPE, clusters=3)
    for name in "abuw":
        found[name] = torch.randn(found[name].shape, generator=random)
    found["K"] = torch.rand(found["K"].shape, generator=random)
    dim = found["hidden_mean"].shape[0]
    shapes = {"E": (6, dim), "e": (6,), "F": (4, 6), "f": (4,), "bases": (3, 4, 2)}
    return found | {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def method(generator, weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "explainer.safetensors"
    storage.write_tensors(path, weights | {"generator": fingerprint(generator)})
    return make_method(f"amortised:{path}")


def gelu(value):
    return 0.5 * value * (1 + math.erf(value / math.sqrt(2)))


def literal(weights, seen):
    """Frame by frame and token by token, in the network of the frame's own cluster."""
    frames, tokens = seen.attention.shape[:2]
    roots = torch.zeros(frames, tokens)
    for t in range(frames):
        state = (seen.hidden[t] - weights["hidden_mean"]) / weights["hidden_scale"]
        inner = torch.tensor([gelu(x) for x in (weights["E"] @ state + weights["e"]).tolist()])
        embedded = weights["F"] @ inner + weights["f"]
        inside = [(embedded @ basis).square().sum().item() for basis in weights["bases"]]
        k = inside.index(max(inside))
        shares, effects = [], []
        for j in range(tokens):
            text = (seen.embeddings[j] - weights["embedding_mean"]) / weights["embedding_scale"]
            read = ((seen.attention[t, j] + FLOOR).log() - weights["read_mean"]) / weights["read_scale"]
            of_frame = torch.tensor([gelu(x) for x in (weights["A"][k] @ state + weights["a"][k]).tolist()])
            pair = of_frame * (weights["B"][k] @ text + weights["b"][k]) + weights["C"][k] @ read
            pair = torch.tensor([gelu(x) for x in pair.tolist()])
            unit = torch.tensor([gelu(x) for x in (weights["U"][k] @ pair + weights["u"][k]).tolist()])
            shares.append(math.exp((weights["V"][k] @ unit).item()))
            effects.append(math.log1p(math.exp((weights["W"][k] @ unit + weights["w"][k]).item())))
        roots[t] = torch.tensor([share / sum(shares) * effect for share, effect in zip(shares, effects, strict=True)])
    reach = len(weights["K"]) // 2
    smooth = torch.zeros_like(roots)
    for t in range(frames):
        for offset in range(-reach, reach + 1):
            if 0 <= t + offset < frames:
                smooth[t] += weights["K"][offset + reach] * roots[t + offset]
    return smooth


def test_the_network_is_its_formula_in_each_frames_own_cluster(weights, lessons):
    seen = lessons[0].seen
    torch.testing.assert_close(predict(weights, seen.batch())[0], literal(weights, seen), atol=1e-4, rtol=1e-4)
    assert len(clusters_of(weights, seen.hidden).unique()) > 1


def test_padding_beside_a_longer_prompt_changes_nothing(weights, lessons):
    batch, scores = batch_of(lessons)
    together = predict(weights, batch)
    for row, lesson in enumerate(lessons):
        tokens = len(lesson.seen.embeddings)
        torch.testing.assert_close(together[row, :, :tokens], predict(weights, lesson.seen.batch())[0])
        assert torch.equal(scores[row, :, :tokens], lesson.scores)
    assert not batch.real.all()


def test_a_frame_is_read_at_the_positions_that_predict_it(generator):
    clip = generator.generate("a dog barks", duration=0.4, seed=1)
    with Run.opened(generator, clip, None) as run:
        seen, hidden = look(run, attention=True), run.hidden_states()[0]
    delays = clip.timeline.delays
    torch.testing.assert_close(seen.hidden[3], torch.stack([hidden[3 + delay] for delay in delays]).mean(0))
    weights = CrossAttention().attribute(generator, clip).scores  # the mean over sites and heads
    torch.testing.assert_close(seen.attention.mean(-1), weights.mean(0), atol=1e-5, rtol=1e-4)


def test_memberships_are_parts_of_an_embedding_in_each_subspace():
    bases = torch.eye(4).reshape(2, 2, 4).mT  # the first two axes, and the last two
    found = memberships({"bases": bases}, torch.tensor([3.0, 0, 1, 0]))
    torch.testing.assert_close(found, torch.tensor([11.0, 3.0]) / 14)  # 9 + 2 dimensions, 1 + 2


def test_it_takes_one_pass_and_says_which_cluster_each_frame_is_in(generator, method):
    found = method.attribute(generator, generator.generate("a dog barks", duration=0.4, seed=2))
    assert found.cost.forward_passes == found.cost.model_calls == 1
    assert len(found.diagnostics["clusters_of_frames"]) == found.generation.frames
    assert found.scores.shape[0] == 1
    assert found.scores.min() >= 0 < found.scores.max()


def test_it_conforms(generator, method):
    check_method(method, generator)


def test_it_needs_attention_only_where_the_network_reads_it(generator, weights, method, tmp_path):
    path = tmp_path / "blind.safetensors"
    kept = {name: tensor for name, tensor in weights.items() if name not in ("C", "read_mean", "read_scale")}
    storage.write_tensors(path, kept | {"generator": fingerprint(generator)})
    blind = make_method(f"amortised:{path}")
    assert blind.needed() == frozenset()
    assert method.needed() == {"attention"}
    clip = generator.generate("a dog barks", duration=0.4, seed=2)
    assert not torch.equal(blind.attribute(generator, clip).scores, method.attribute(generator, clip).scores)


def test_another_generator_is_refused(audiocraft_generator, method):
    clip = audiocraft_generator.generate("rain", duration=0.3, seed=1)
    with pytest.raises(UnsupportedError, match="was trained for another generator than 'audiogen'"):
        method.attribute(audiocraft_generator, clip)


def test_a_missing_file_and_another_file_are_refused(tmp_path):
    with pytest.raises(TagxaiError, match=r"needs the file of a trained network, and 'none\.safetensors' is none"):
        make_method("amortised:none.safetensors")
    storage.write_tensors(tmp_path / "else.safetensors", {"A": torch.zeros(2)})
    with pytest.raises(DamagedFileError, match="does not hold a network"):
        make_method(f"amortised:{tmp_path / 'else.safetensors'}")


def test_the_shipped_network_is_tinys_and_finds_the_words():
    from tagxai.metrics.areas_under_curves import AveragePrecision

    generator, method = load_generator("tiny"), make_method("amortised:tiny")
    assert method.file.stat().st_size < 2e6
    clip = generator.generate("a dog barks followed by rain falling", seed=0)
    found = method.attribute(generator, clip)
    words = {score.unit.text: score.score for score in found.per_word()}
    assert max(words["by"], words["a"]) < 0.2 * max(words["dog"], words["barks"])
    assert AveragePrecision().score(generator, clip, found) > 0.6
