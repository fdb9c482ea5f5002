"""Masks while they are learned: of one clip or of several, of one seed or of several, all in one batch.

Each mask has a loss, random numbers and an end of its own, and so comes out as it would if it were learned alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tagxai.contract.run import Run, together
from tagxai.contract.shortage import is_out_of_memory
from tagxai.contract.workload import MARGIN, free
from tagxai.lazy import Float, torch
from tagxai.methods.audiogenx.masks import Explainer

AT_ONCE = 16
"""Masks in one batch; more gain nothing."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A clip that masks are learned for: its states and log-probabilities (None where they are not asked for) without a
    mask, the first logits (None: zeros, or those of the MLP's first weights), and the noise levels that count (None:
    all)."""

    run: Run
    states: Float[torch.Tensor, "positions dim"]
    log_prob: Float[torch.Tensor, "streams frames"] | None
    start: Float[torch.Tensor, "positions tokens"] | None
    levels: list[int] | None = None


Mask = tuple[Subject, int]
"""A mask to be learned: for which clip, and by which seed."""


@dataclass(frozen=True, eq=False)
class Learner:
    """One mask while it is learned: its logits, and the losses so far."""

    subject: Subject
    logits: Explainer
    parameters: Sequence[torch.Tensor]
    random: torch.Generator
    optimizer: torch.optim.Optimizer
    losses: list[float] = field(default_factory=list)

    @property
    def run(self) -> Run:
        return self.subject.run


class Learned(NamedTuple):
    """What is kept of a learner: its logits, its losses, and how many numbers it learned."""

    logits: Float[torch.Tensor, "positions tokens"]
    losses: list[float]
    parameters: int

    @classmethod
    def by(cls, one: Learner) -> Learned:
        return cls(one.logits().detach(), one.losses, sum(parameter.numel() for parameter in one.parameters))


def step(running: Sequence[Learner], losses_of: Callable[[Sequence[Learner]], list[torch.Tensor]]) -> None:
    """One epoch of some masks; `losses_of` gives each its loss."""
    with torch.enable_grad():
        losses = losses_of(running)
        total = torch.stack(losses).sum()  # each depends on its own mask alone
    for one in running:
        one.optimizer.zero_grad(set_to_none=True)
    total.backward()
    for one, loss in zip(running, torch.stack(losses).tolist(), strict=True):
        one.run.count(backward_passes=2)
        one.optimizer.step()
        one.losses.append(loss)


def in_batches(
    todo: Sequence[Mask], work: Callable[[Sequence[Mask], int], list[Learned]], memory: int, most: int = AT_ONCE
) -> list[Learned]:
    """What `work` learns of masks, and of how many were learned before; as many at a time as memory allows, where each
    takes about `memory` bytes.

    Where the device runs out of memory, half as many are begun again.
    """
    available = free(todo[0][0].states.device)
    size = most if available is None else max(1, min(most, int(available / MARGIN) // max(1, memory)))
    done: list[Learned] = []
    while len(done) < len(todo):
        now = todo[len(done) : len(done) + size]
        try:
            with together([subject.run for subject, _ in now]):
                done += work(now, len(done))
        except (MemoryError, RuntimeError) as error:
            if len(now) == 1 or not is_out_of_memory(error):
                raise
            size = (len(now) + 1) // 2
    return done
