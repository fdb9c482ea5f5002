"""How a network learns its lessons: first weights, the loss, and epochs that an interrupted run goes on from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagxai import storage
from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import DamagedFileError
from tagxai.explaining.amortising.lessons import Lesson, batch_of
from tagxai.lazy import torch
from tagxai.methods.amortised.network import FLOOR, LEARNED, predict

CHECKPOINT = "checkpoint.safetensors"
SMOOTH = 9
"""Positions that the network's last step smooths over."""
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW remembers of each tensor."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    units: int = 48
    epochs: int = 48
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    dropout: float = 0.1
    batch: int = 4
    seed: int = 0


def first_weights(lessons: Sequence[Lesson], recipe: Recipe, clusters: int) -> dict[str, torch.Tensor]:
    """Random weights, and the scales of what is read and of what is predicted."""
    random = torch.Generator().manual_seed(recipe.seed)
    hidden = torch.cat([lesson.seen.hidden for lesson in lessons])
    embeddings = torch.cat([lesson.seen.embeddings for lesson in lessons])
    roots = torch.cat([lesson.scores.clamp(min=0).sqrt().flatten() for lesson in lessons])
    read = [lesson.seen.attention.flatten(0, 1) for lesson in lessons if lesson.seen.attention is not None]
    units = recipe.units

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(clusters, rows, columns, generator=random) / columns**0.5

    weights = {"A": matrix(units, hidden.shape[1]), "B": matrix(units, embeddings.shape[1])}
    weights |= {"U": matrix(units, units), "V": matrix(1, units), "W": matrix(1, units)}
    weights |= {name: torch.zeros(clusters, units) for name in "abu"} | {"w": torch.zeros(clusters, 1)}
    weights["K"] = torch.zeros(SMOOTH)
    weights["K"][SMOOTH // 2] = 1
    if read:
        logs = (torch.cat(read) + FLOOR).log()
        weights["C"] = matrix(units, logs.shape[1])
        weights |= {"read_mean": logs.mean(0), "read_scale": logs.std(0) + 1e-6}
    weights |= {"hidden_mean": hidden.mean(0), "hidden_scale": hidden.std(0) + 1e-6}
    weights |= {"embedding_mean": embeddings.mean(0), "embedding_scale": embeddings.std(0) + 1e-6}
    return weights | {"root_scale": roots.square().mean().sqrt() + 1e-12}


def error(
    weights: Mapping[str, torch.Tensor],
    lessons: Sequence[Lesson],
    dropout: float = 0.0,
    random: torch.Generator | None = None,
) -> torch.Tensor:
    """The mean squared error of roots, of the mean square of the teacher's; over real tokens."""
    batch, scores = batch_of(lessons)
    wrong = predict(weights, batch, dropout, random) - scores.clamp(min=0).sqrt() / weights["root_scale"]
    return wrong.square().movedim(-1, 1)[batch.real].mean()


def learn(
    lessons: Sequence[Lesson],
    unseen: Sequence[Lesson],
    recipe: Recipe,
    folder: Path,
    fixed: Mapping[str, torch.Tensor] | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[dict[str, torch.Tensor], float]:
    """The weights of the epoch that comes closest to the teacher on the lessons `unseen`, and their error.

    `fixed` are tensors of clusters, which are not learned here. Every epoch is kept in `folder`, for an interrupted run
    to go on from; with other lessons or another recipe it starts again.
    """
    clusters = len(fixed["bases"]) if fixed else 1
    weights = first_weights(lessons, recipe, clusters) | dict(fixed or {})
    names = [name for name in (*LEARNED, "C") if name in weights]
    learned = [weights[name].requires_grad_() for name in names]
    optimiser = torch.optim.AdamW(learned, recipe.learning_rate, weight_decay=recipe.weight_decay)
    course = _signature(weights, lessons, unseen, recipe)
    best, least, first = {}, math.inf, 0
    kept = _checkpoint(folder / CHECKPOINT, course)
    if kept is not None:
        for name, parameter in zip(names, learned, strict=True):
            parameter.data.copy_(kept[name])
            optimiser.state[parameter] = {moment: kept[f"{moment}.{name}"].clone() for moment in MOMENTS}
        best = {name.removeprefix("best."): tensor for name, tensor in kept.items() if name.startswith("best.")}
        least, first = kept["least"].item(), int(kept["epochs"])
    for epoch in range(first, recipe.epochs):
        random = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)  # of this epoch, wherever a run resumes
        order = torch.randperm(len(lessons), generator=random).split(recipe.batch)
        for number, rows in enumerate(order):
            done = (epoch + number / len(order)) / recipe.epochs
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * min(1, 10 * done + 0.1) * (1 + math.cos(math.pi * done)) / 2
            optimiser.zero_grad()
            error(weights, [lessons[row] for row in rows.tolist()], recipe.dropout, random).backward()
            optimiser.step()
        with torch.no_grad():
            found = sum(error(weights, [lesson]).item() for lesson in unseen) / len(unseen)
        if found < least:
            least, best = found, {name: tensor.detach().clone() for name, tensor in weights.items()}
        state = {"least": torch.tensor(least, dtype=torch.float64), "epochs": torch.tensor(epoch + 1), "course": course}
        for name, parameter in zip(names, learned, strict=True):
            state[name] = parameter.detach()
            state |= {f"{moment}.{name}": optimiser.state[parameter][moment] for moment in MOMENTS}
        storage.write_tensors(folder / CHECKPOINT, state | {f"best.{name}": tensor for name, tensor in best.items()})
        if on_progress is not None:
            on_progress(Progress(epoch + 1, recipe.epochs, f"learning, error {found:.3f}"))
    return best, least


def _signature(
    weights: Mapping[str, torch.Tensor], lessons: Sequence[Lesson], unseen: Sequence[Lesson], recipe: Recipe
) -> torch.Tensor:
    """A few numbers that other lessons, another recipe or other clusters would change."""
    sums = [sum(lesson.scores.double().sum().item() for lesson in some) for some in (lessons, unseen)]
    sums += [weights[name].double().sum().item() for name in sorted(weights)]
    settings = [float(value) for value in vars(recipe).values()]
    return torch.tensor([*sums, float(len(lessons)), float(len(unseen)), *settings], dtype=torch.float64)


def _checkpoint(path: Path, course: torch.Tensor) -> dict[str, torch.Tensor] | None:
    """What an interrupted run of the same course has kept."""
    try:
        kept = storage.read_tensors(path)
    except (FileNotFoundError, DamagedFileError):
        return None
    return kept if "course" in kept and torch.equal(kept["course"], course) else None
