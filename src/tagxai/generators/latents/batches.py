"""Which clips are denoised together, and how many: those of one shape, where that changes no bit of any of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from tagxai.contract.attention import installed_edits
from tagxai.contract.shortage import is_out_of_memory
from tagxai.contract.values import OnProgress, Progress
from tagxai.contract.workload import MARGIN, Workload, free
from tagxai.generators.latents.denoising import LatentJob, denoise
from tagxai.generators.quantised import is_quantised
from tagxai.lazy import torch

if TYPE_CHECKING:
    from tagxai.generators.latents.model import LatentGenerator

AT_ONCE = 16
"""Clips in one batch; more gain nothing on a CPU."""


def denoise_in_batches(
    model: LatentGenerator, jobs: Sequence[LatentJob], on_progress: OnProgress | None
) -> dict[int, dict[str, torch.Tensor]]:
    """Records by the number of their job."""
    steps = {job.number: len(model.solver(job.settings).levels) for job in jobs}
    done, total = 0, sum(steps.values())

    def on_step(clips: int) -> None:
        nonlocal done
        done += clips
        if on_progress is not None:
            on_progress(Progress(done, total, "denoising"))

    alike: dict[object, list[LatentJob]] = {}
    for job in jobs:
        shape = job.kind, job.timeline.frames, job.request.branch, tuple(job.settings.items())
        alike.setdefault(shape, []).append(job)
    records: dict[int, dict[str, torch.Tensor]] = {}
    for left in alike.values():
        size = min(len(left), _that_fit(model, left[0]))
        while left:
            if not _may_share(model, left[:size]):
                size = 1
            before, now = done, left[:size]
            try:
                records |= denoise(model, now, on_step)
            except (MemoryError, RuntimeError) as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                done, size = before, (len(now) + 1) // 2
                continue
            left = left[size:]
    return records


def _that_fit(model: LatentGenerator, job: LatentJob) -> int:
    available = free(model.device)
    if available is None:
        return AT_ONCE
    work = Workload.of(model, model.canvas(job.timeline), job.conditioning)
    return max(1, min(AT_ONCE, int(available / MARGIN / work.forward(1))))


def _may_share(model: LatentGenerator, jobs: Sequence[LatentJob]) -> bool:
    """Whether these clips come out as they would alone; the caller's own edits see one clip at a time."""
    if len(jobs) == 1:
        return True
    if installed_edits():
        return False
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return True
    if not model.row_by_row:
        return False
    parts = [part for held in model.modules().values() for part in held.modules()]
    if any(is_quantised(part) for part in parts):
        return False
    own = [weight for part in parts for weight in part.parameters(recurse=False)]
    shapes = {(weight.shape[0], weight.shape[1]) for weight in own if weight.ndim == 2}
    rows = {model.canvas(jobs[0].timeline), jobs[0].tokens}
    return all(_agree(*shape, each, len(jobs), torch.get_num_threads()) for shape in shapes for each in rows)


@cache
def _agree(outputs: int, inputs: int, rows: int, clips: int, threads: int) -> bool:
    """Whether a product's rows are, to the bit, those of the products of each clip alone.

    Several threads share out the rows of a product, so that its sums are added in an order that depends on how many
    rows there are.
    """
    random = torch.Generator().manual_seed(0)
    weight = torch.rand(outputs, inputs, generator=random, dtype=torch.float32) - 0.5
    given = torch.rand(clips, rows, inputs, generator=random, dtype=torch.float32) - 0.5
    whole = torch.nn.functional.linear(given, weight)
    alone = torch.cat([torch.nn.functional.linear(each, weight) for each in given.split(1)])
    return torch.equal(alone, whole)
