"""How the network of `amortised_explainer.py` learns a teacher's effects: lessons, first weights, loss, training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from amortised_explainer import NAMES, at_frames, predict
from jaxtyping import Bool, Float
from torch.nn.utils.rnn import pad_sequence

from tagxai.contract.timeline import Timeline


class Lessons(NamedTuple):
    """Training clips of one length; `real` is False on padding."""

    hidden: Float[torch.Tensor, "clips positions dim"]
    embeddings: Float[torch.Tensor, "clips tokens dim"]
    real: Bool[torch.Tensor, "clips tokens"]
    effects: Float[torch.Tensor, "clips streams frames tokens"]
    timeline: Timeline


def stack(found: Sequence[Mapping[str, torch.Tensor]], name: str, timeline: Timeline) -> Lessons:
    """Join the lessons of one teacher."""

    def padded(parts: list[torch.Tensor]) -> torch.Tensor:
        return pad_sequence(parts, batch_first=True)

    return Lessons(
        torch.stack([each["hidden"] for each in found]),
        padded([each["embeddings"] for each in found]),
        padded([torch.ones(len(each["embeddings"]), dtype=torch.bool) for each in found]),
        padded([each[name].movedim(-1, 0) for each in found]).movedim(1, -1),
        timeline,
    )


def first_weights(lessons: Lessons, units: int, random: torch.Generator) -> dict[str, torch.Tensor]:
    """Random weights, with the scales of inputs and effects found in the lessons."""
    dim, streams = lessons.hidden.shape[-1], lessons.effects.shape[1]
    tokens, effects = lessons.embeddings[lessons.real], lessons.effects.movedim(-1, 1)[lessons.real]

    def parameter(rows: int, columns: int) -> torch.Tensor:
        return (torch.randn(rows, columns, generator=random) / columns**0.5).requires_grad_()

    matrices = {"A": parameter(units, dim), "B": parameter(units, dim), "U": parameter(units, units)}
    matrices["W"] = (parameter(streams, units).detach() / 10).requires_grad_()  # starts near no effect
    biases = {name.lower(): torch.zeros(len(matrix), requires_grad=True) for name, matrix in matrices.items()}
    return {
        **matrices,
        **biases,
        "hidden_mean": lessons.hidden.mean((0, 1)),
        "hidden_scale": lessons.hidden.std((0, 1)) + 1e-6,
        "embedding_mean": tokens.mean(0),
        "embedding_scale": tokens.std(0) + 1e-6,
        "effect_scale": effects.std() + 1e-12,
    }


def error(weights: Mapping[str, torch.Tensor], lessons: Lessons, dropout: float = 0.0) -> torch.Tensor:
    """The mean squared error over all real tokens and codes, divided by the mean square of the effects."""
    effects = predict(weights, lessons.hidden, lessons.embeddings, dropout)
    effects = at_frames(effects, lessons.timeline)
    wrong = ((effects - lessons.effects) / weights["effect_scale"]).square().movedim(-1, 1)
    return wrong[lessons.real].mean()


def learn(
    lessons: Lessons,
    unseen: Lessons,
    *,
    units: int = 64,
    epochs: int = 12,
    learning_rate: float = 2e-3,
    weight_decay: float = 0.01,
    dropout: float = 0.2,
    batch: int = 4,
    seed: int = 0,
    on_epoch: Callable[[int, float], None] = lambda epoch, error: None,
) -> dict[str, torch.Tensor]:
    """Train, and return the weights of the epoch that is closest to the teacher on the clips `unseen`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of dropout
        random = torch.Generator().manual_seed(seed)
        weights = first_weights(lessons, units, random)
        learned = [weights[name] for name in NAMES]
        optimiser = torch.optim.AdamW(learned, learning_rate, weight_decay=weight_decay)
        total = epochs * -(-len(lessons.hidden) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=total, pct_start=0.1)
        least, best = float("inf"), weights
        for epoch in range(epochs):
            for rows in torch.randperm(len(lessons.hidden), generator=random).split(batch):
                part = Lessons(*(tensor[rows] for tensor in lessons[:4]), lessons.timeline)
                optimiser.zero_grad()
                error(weights, part, dropout).backward()
                optimiser.step()
                schedule.step()
            with torch.no_grad():
                found = error(weights, unseen).item()
            on_epoch(epoch + 1, found)
            if found < least:
                least, best = found, {name: tensor.detach().clone() for name, tensor in weights.items()}
    return best
