"""Clips of one shape from their noise, as one batch: what the network read is recorded where it is to be run again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeAlias

from tagxai.contract.attention import Position
from tagxai.contract.finite import FiniteSteps
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Conditioning
from tagxai.generators.jobs import Job, gates
from tagxai.lazy import torch
from tagxai.probing.edits import Gate

if TYPE_CHECKING:
    from tagxai.generators.latents.model import LatentGenerator

LatentJob: TypeAlias = "Job[LatentFrames]"


def recorded(steps: int, levels: int) -> list[int]:
    """The steps that are run again: spread evenly, from the first to the last.

    >>> recorded(16, 4)
    [0, 5, 10, 15]
    """
    return [i * (steps - 1) // max(1, levels - 1) for i in range(levels)]


def denoise(
    model: LatentGenerator, jobs: Sequence[LatentJob], on_step: Callable[[int], None]
) -> dict[int, dict[str, torch.Tensor]]:
    """The record of each job, by its number. Jobs have one kind, branch, timeline and settings."""
    first = jobs[0]
    timeline, branch, settings = first.timeline, first.request.branch, first.settings
    solver = model.solver(settings)
    replayed = {step: level for level, step in enumerate(recorded(len(solver.levels), model.levels))}
    randoms = [torch.Generator().manual_seed(job.request.seed) for job in jobs]
    noise = torch.stack([model.noise(timeline, random) for random in randoms])
    latents = solver.start(noise.to(model.device))
    given = together([job.conditioning for job in jobs])
    null = model.null(given, settings) if branch != "conditional" and not _is_plain(branch, settings) else None
    given = model.completed(given, settings, timeline)
    null = None if null is None else model.completed(null, settings, timeline)
    mix = model.guidance(settings)
    gate = Gate(gates(jobs, timeline.positions)) if first.is_gated else None
    read: list[torch.Tensor] = []
    finite = FiniteSteps(model, "latents")
    with ExitStack() as stack:
        if gate is not None:
            for site in model.cross_attention():
                stack.enter_context(site.watched())
        for step, level in enumerate(solver.levels):
            seen = solver.read(latents, step)
            if step in replayed:
                read.append(seen)
            where = Position(edit=gate, level=replayed.get(step))
            unguided = Position(conditional_rows=0)
            velocity = None
            if branch != "unconditional":
                velocity = model.predicted(seen, level[None], given, timeline, where).velocity
            if null is not None:
                without = model.predicted(seen, level[None], null, timeline, unguided).velocity
                velocity = without if velocity is None else mix(velocity, without, step)
            assert velocity is not None
            latents = solver.step(latents, velocity, step, randoms)
            finite.see(latents, step)
            on_step(len(jobs))
    finite.check()
    trajectory, levels = torch.stack(read, dim=1), solver.levels[list(replayed)]
    return {
        job.number: {"latents": final.cpu(), "trajectory": own.cpu(), "levels": levels.cpu()}
        for job, final, own in zip(jobs, latents, trajectory, strict=True)
    }


def _is_plain(branch: str, settings: dict[str, object]) -> bool:
    """Guidance at scale 1 is the conditional branch, which needs no second pass."""
    return branch == "guided" and settings.get("guidance_scale") == 1


def together(rows: Sequence[Conditioning]) -> Conditioning:
    """Encoded prompts of as many tokens, as one batch."""
    return Conditioning(
        torch.cat([row.embeddings for row in rows]),
        torch.cat([row.mask for row in rows]),
        tuple(tokens for row in rows for tokens in row.tokens),
        tuple(spans for row in rows for spans in row.spans),
        {name: torch.cat([row.extras[name] for row in rows]) for name in rows[0].extras},
    )
