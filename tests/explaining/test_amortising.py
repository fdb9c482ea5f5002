"""Lessons that are made once, learning that goes on where it stopped, and clusters that are found."""

import pytest
import torch

from tagxai.errors import TagxaiError
from tagxai.explaining.amortising.clustering import Clustering, cluster, k_means, overlap, sharpened
from tagxai.explaining.amortising.learning import CHECKPOINT, Recipe, error, learn
from tagxai.explaining.amortising.lessons import FOLDER, Course, Lesson, lessons
from tagxai.explaining.amortising.training import RESULT, train
from tagxai.explaining.loading import make_method
from tagxai.methods.amortised.network import Seen, clusters_of
from tagxai.methods.cross_attention import CrossAttention

PROMPTS = ["a dog barks", "rain", "rain falls while a dog barks", "a bell", "the dog", "a bell rings in the rain"]
RECIPE = Recipe(units=8, epochs=6, batch=2)


@pytest.fixture(scope="module")
def course():
    return Course(CrossAttention(), PROMPTS, duration=0.4, seed=5)


@pytest.fixture(scope="module")
def taught(generator, course, tmp_path_factory):
    return lessons(generator, course, tmp_path_factory.mktemp("taught"))


def test_a_lesson_is_the_teachers_mean_over_streams(generator, taught):
    clip = generator.generate(PROMPTS[2], duration=0.4, seed=7)
    expected = CrossAttention().attribute(generator, clip).scores.mean(0)
    torch.testing.assert_close(taught[2].scores, expected)


def test_lessons_are_made_once_and_a_damaged_one_again(generator, course, taught, tmp_path, monkeypatch):
    made, generate = [], generator.generate
    monkeypatch.setattr(generator, "generate", lambda prompt, **rest: made.append(prompt) or generate(prompt, **rest))
    lessons(generator, course, tmp_path)
    assert made == PROMPTS
    (tmp_path / FOLDER / f"{course.names(generator)[3]}.safetensors").write_bytes(b"half")
    again = lessons(generator, course, tmp_path)
    assert made == [*PROMPTS, PROMPTS[3]]
    for lesson, first in zip(again, taught, strict=True):
        torch.testing.assert_close(lesson.scores, first.scores)
    lessons(generator, Course(CrossAttention(layers="0"), PROMPTS[:1], 0.4, 5), tmp_path)
    assert made[-1] == PROMPTS[0]  # another teacher's


def planted(random, tokens):
    """A lesson of a known rule: a token scores 1 where its first number has the sign of the frame's, else 0.01."""
    hidden, embeddings = torch.randn(20, 6, generator=random), torch.randn(tokens, 5, generator=random)
    agrees = hidden[:, None, 0] * embeddings[None, :, 0] > 0
    return Lesson(Seen(hidden, embeddings, None), torch.where(agrees, 1.0, 0.01))


def test_it_learns_to_predict_prompts_that_it_was_not_taught(tmp_path):
    random = torch.Generator().manual_seed(0)
    known, unseen = ([planted(random, 2 + number % 3) for number in range(count)] for count in (100, 8))
    weights, least = learn(known, unseen, Recipe(units=16, epochs=40, dropout=0), tmp_path)
    roots = torch.cat([lesson.scores.sqrt().flatten() for lesson in unseen]) / weights["root_scale"]
    assert least < 0.5 * roots.var()  # half of what a constant misses
    with torch.no_grad():
        assert sum(error(weights, [lesson]).item() for lesson in unseen) / 8 == pytest.approx(least)


class Stopped(Exception):
    pass


def test_an_interrupted_run_goes_on_to_the_same_network(taught, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "halves").mkdir()
    expected, least = learn(taught[:-1], taught[-1:], RECIPE, tmp_path / "whole")
    epochs = []

    def stop(progress):
        epochs.append(progress.done)
        if len(epochs) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        learn(taught[:-1], taught[-1:], RECIPE, tmp_path / "halves", on_progress=stop)
    found, again = learn(taught[:-1], taught[-1:], RECIPE, tmp_path / "halves", on_progress=stop)
    assert epochs == [1, 2, 3, 4, 5, 6]
    assert again == least
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_another_recipe_starts_again(taught, tmp_path):
    learn(taught[:-1], taught[-1:], RECIPE, tmp_path)
    epochs = []
    other = Recipe(units=8, epochs=2, batch=2, seed=1)
    learn(taught[:-1], taught[-1:], other, tmp_path, on_progress=lambda progress: epochs.append(progress.done))
    assert epochs == [1, 2]


def test_a_training_leaves_a_file_that_explains(generator, course, tmp_path):
    found = train(generator, course, tmp_path, RECIPE, clusters=2)
    assert (found.learned_from, found.held_out) == (5, 1)
    assert sum(each.share for each in found.clusters) == pytest.approx(1)
    assert {word for each in found.clusters for word in each.words} <= {
        *["a", "dog", "barks", "rain", "falls", "while", "bell", "the"]
    } | {token.strip("▁") for prompt in PROMPTS for token in generator.encode_prompt([prompt]).tokens[0]}
    assert not (tmp_path / CHECKPOINT).exists()
    method = make_method(f"amortised:{tmp_path / RESULT}")
    scores = method.attribute(generator, generator.generate("rain", duration=0.4, seed=1)).scores
    assert torch.isfinite(scores).all()


def test_two_prompts_are_too_few(generator, tmp_path):
    with pytest.raises(TagxaiError, match="at least 3 prompts, not 2"):
        train(generator, Course(CrossAttention(), PROMPTS[:2], 0.4), tmp_path, RECIPE)
    assert not list(tmp_path.iterdir())


# -- clusters --------------------------------------------------------------------------------------------------------


def test_planted_subspaces_are_found():
    """Points of three planes of 12 dimensions: positions in a plane share a cluster, and no others do."""
    random = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(12, 6, generator=random)).Q
    points = [
        torch.randn(200, 2, generator=random) @ axes[:, 2 * i : 2 * i + 2].T + 4 * axes[:, 2 * i] for i in range(3)
    ]
    weights = cluster(points, Clustering(3, width=8, dimensions=2, units=32, steps=200, rows=128))
    found = [clusters_of(weights, each) for each in points]
    majority = [each.mode().values.item() for each in found]
    assert sorted(majority) == [0, 1, 2]
    assert all((each == most).float().mean() > 0.9 for each, most in zip(found, majority, strict=True))


def test_sharper_assignments_are_surer_and_do_not_let_one_cluster_take_everything():
    soft = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.9, 0.1]])
    sharp = sharpened(soft)
    squares = torch.tensor([[0.36 / 2.4, 0.16 / 0.6], [0.81 / 2.4, 0.01 / 0.6], [0.81 / 2.4, 0.01 / 0.6]])
    torch.testing.assert_close(sharp, squares / squares.sum(1, keepdim=True))
    assert sharp[1, 0] > soft[1, 0]
    assert sharp[0, 1] > soft[0, 1]


def test_orthonormal_subspaces_do_not_overlap():
    bases = torch.eye(4).reshape(2, 2, 4).mT
    assert overlap(bases).item() == 0
    assert overlap(2 * bases).item() == 4 * 9  # each length (4 - 1) squared
    assert overlap(torch.stack([bases[0], bases[0]])).item() == 4  # two products of 1, both ways


def test_no_cluster_of_k_means_is_empty():
    points = torch.tensor([[0.0], [0.0], [0.0], [0.0], [9.0]])
    of = k_means(points, 3, torch.Generator().manual_seed(0))
    assert sorted(of.unique().tolist()) == [0, 1, 2]


def test_more_clusters_than_frames_is_one_sentence():
    with pytest.raises(TagxaiError, match="clusters takes a number from 2 to that of all frames, 3; not 4"):
        cluster([torch.zeros(3, 2)], Clustering(4))
