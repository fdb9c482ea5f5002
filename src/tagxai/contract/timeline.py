"""Where a clip's scores lie in time: between the decoder's own steps and the frames of the audio."""

from __future__ import annotations

from tagxai.lazy import torch


def undo_delay(steps: torch.Tensor, delays: tuple[int, ...], frames: int) -> torch.Tensor:
    """[..., steps, values] -> [..., codebooks, frames, values]: what belongs to each code, read at its own step."""
    return torch.stack([steps[..., delay : delay + frames, :] for delay in delays], dim=-3)


def apply_delay(scores: torch.Tensor, delays: tuple[int, ...]) -> torch.Tensor:
    """[codebooks, frames, values] -> [steps, values]: the mean over the codes that each step predicts.

    A single codebook row stands for all codebooks.
    """
    frames, values = scores.shape[-2:]
    total = scores.new_zeros(frames + max(delays), values)
    count = scores.new_zeros(frames + max(delays), 1)
    for row, delay in zip(scores.expand(len(delays), -1, -1), delays, strict=True):
        total[delay : delay + frames] += row
        count[delay : delay + frames] += 1
    return total / count
