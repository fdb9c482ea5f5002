"""How many clips share a stream: as many as memory allows, and only such as may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tagxai.contract.attention import installed_edits
from tagxai.contract.shortage import is_out_of_memory
from tagxai.contract.values import OnProgress, Progress
from tagxai.contract.workload import MARGIN, Workload, free
from tagxai.generators.codes.rows import rows_that_agree
from tagxai.generators.codes.stream import CodeJob, Stream
from tagxai.generators.quantised import is_quantised
from tagxai.lazy import torch

if TYPE_CHECKING:
    from tagxai.generators.codes.delay_pattern import DelayPatternGenerator

AT_ONCE = 64
"""Clips in one stream; more gain nothing."""


def sample_in_batches(
    model: DelayPatternGenerator, jobs: Sequence[CodeJob], on_progress: OnProgress | None
) -> dict[int, torch.Tensor]:
    """Codes by the number of their job."""
    done, total = 0, sum(job.timeline.positions for job in jobs)
    codes: dict[int, torch.Tensor] = {}

    def on_step(clips: int) -> None:
        nonlocal done
        done += clips
        if on_progress is not None:
            on_progress(Progress(done, total, "generating"))

    least, size = _least_rows(model), AT_ONCE
    if least is None or installed_edits():  # the caller's own edits see one clip at a time
        size, least = 1, least or 1
    for alike in _streams(model, jobs):
        left = list(alike)
        size = min(size, _that_fit(model, left))
        while left:
            before, now = done, left[:size]
            try:
                codes |= Stream(model, now, least).sample(on_step)
            except (MemoryError, RuntimeError) as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                done, size = before, (len(now) + 1) // 2
                continue
            left = left[size:]
    return codes


def _streams(model: DelayPatternGenerator, jobs: Sequence[CodeJob]) -> Iterator[list[CodeJob]]:
    """Jobs that may share a stream, the longest first, so that those of one stream end at about the same time."""
    alike: dict[object, list[CodeJob]] = {}
    for job in sorted(jobs, key=lambda job: -job.timeline.positions):
        alike.setdefault(None if model.mixes_prompts else job.kind, []).append(job)
    yield from alike.values()


def _least_rows(model: DelayPatternGenerator) -> int | None:
    """Rows that a stream has at least, so that its clips are those of one-by-one calls; None if nothing helps."""
    if not is_exact(model):
        return 1
    parts = [part for held in model.modules().values() for part in held.modules()]
    own = [weight for part in parts for weight in part.parameters(recurse=False)]
    if any(is_quantised(part) for part in parts):  # by the range of the whole batch
        return None
    return rows_that_agree(weight for weight in own if weight.ndim == 2)


def is_exact(model: DelayPatternGenerator) -> bool:
    """Whether it is promised that what shares a batch is, bit for bit, what each would be alone."""
    return model.device.type == "cpu" and model.dtype == torch.float32


def _that_fit(model: DelayPatternGenerator, jobs: Sequence[CodeJob]) -> int:
    """Clips whose keys and values fit into the memory that is free; the rest is small beside them."""
    available = free(model.device)
    if available is None:
        return AT_ONCE
    longest = max(job.timeline.positions for job in jobs)
    wordiest = max(jobs, key=lambda job: job.tokens)
    return max(1, int(available / MARGIN) // Workload.of(model, longest, wordiest.conditioning).streaming())
