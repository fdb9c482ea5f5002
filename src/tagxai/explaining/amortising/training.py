"""A network trained for a generator, from prompts to the file that `--method amortised:FILE` takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tagxai import storage
from tagxai.contract.generator import Generator
from tagxai.contract.values import OnProgress
from tagxai.errors import TagxaiError
from tagxai.explaining.amortising.clustering import Clustering, cluster
from tagxai.explaining.amortising.learning import CHECKPOINT, Recipe, learn
from tagxai.explaining.amortising.lessons import Course, Lesson, lessons
from tagxai.lazy import torch
from tagxai.methods.amortised import fingerprint
from tagxai.methods.amortised.network import clusters_of

RESULT = "explainer.safetensors"
SCHEMA = "tagxai.amortised"


@dataclass(frozen=True)
class Cluster:
    """What a cluster of frames is about."""

    frames: int
    share: float
    """The share of all frames that belong to it."""
    words: list[str]
    """The tokens with the largest parts of the teacher's scores at its frames, largest first."""


class Trained(NamedTuple):
    """What a training gave."""

    file: Path
    error: float
    """Mean squared error of the roots of scores on prompts that were held out, of the mean square of the teacher's."""
    learned_from: int
    held_out: int
    clusters: list[Cluster]


def train(
    generator: Generator,
    course: Course,
    folder: Path,
    recipe: Recipe,
    *,
    held_out: float = 0.1,
    clusters: int = 0,
    stage: Callable[[str], OnProgress] | None = None,
) -> Trained:
    """Train a network on a teacher's scores for the clips of `course`; the last share `held_out` chooses the epoch.

    Everything goes to `folder`, and a run that was interrupted goes on there. Raises TagxaiError for too few prompts.
    """
    count = max(1, round(held_out * len(course.prompts)))
    if len(course.prompts) - count < 2:
        raise TagxaiError(f"a network learns from at least 3 prompts, not {len(course.prompts)}; hundreds are better")
    mark = fingerprint(generator)
    taught = lessons(generator, course, folder, stage("lessons") if stage else None)
    known, unseen = taught[:-count], taught[-count:]
    fixed = None
    if clusters:
        states = [lesson.seen.hidden for lesson in known]
        fixed = cluster(states, Clustering(clusters, seed=recipe.seed), stage("clusters") if stage else None)
    weights, error = learn(known, unseen, recipe, folder, fixed, stage("learning") if stage else None)
    result = folder / RESULT
    storage.write_tensors(result, {name: tensor.contiguous() for name, tensor in weights.items()} | {"generator": mark})
    tokens = [generator.encode_prompt([prompt]).tokens[0] for prompt in course.prompts[:-count]] if clusters else []
    storage.write_json(
        folder / "amortised.json",
        {
            "schema": SCHEMA,
            "teacher": {"name": course.teacher.name, "settings": dict(course.teacher.settings())},
            "recipe": vars(recipe),
            "prompts": {"learned from": len(known), "held out": len(unseen)},
            "error": error,
            "clusters": clusters,
        },
    )
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return Trained(result, error, len(known), len(unseen), about(weights, known, tokens) if clusters else [])


def about(
    weights: dict[str, torch.Tensor], taught: Sequence[Lesson], tokens: Sequence[Sequence[str]], words: int = 5
) -> list[Cluster]:
    """What each cluster is about."""
    frames: Counter[int] = Counter()
    parts: dict[int, Counter[str]] = {}
    for lesson, own in zip(taught, tokens, strict=True):
        of = clusters_of(weights, lesson.seen.hidden)
        assert of is not None, "weights of clusters"
        shares = lesson.scores / lesson.scores.sum(-1, keepdim=True).clamp(min=1e-12)
        for number in of.unique().tolist():
            frames[number] += int((of == number).sum())
            found = shares[of == number].sum(0).tolist()
            for token, part in zip(own, found, strict=True):
                parts.setdefault(number, Counter())[token.strip("▁")] += part
    total = sum(frames.values())
    return [
        Cluster(
            frames[number],
            frames[number] / total,
            [word for word, _ in parts.get(number, Counter()).most_common(words)],
        )
        for number in range(len(weights["bases"]))
    ]
