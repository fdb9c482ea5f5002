"""Masks with values that a test chooses."""

import torch

from tagxai import Attribution


def ones(generation):
    """All tokens at all positions."""
    return torch.ones(generation.positions, len(generation.tokens))


def mask_of(clip, rows):
    """A mask that gives words, by their text, one value a frame."""
    scores = torch.zeros(1, clip.frames, len(clip.tokens))
    for i, (start, end) in enumerate(clip.spans):
        if (text := clip.prompt[start:end]) in rows:
            scores[0, :, i] = torch.tensor(rows[text], dtype=torch.float32)
    return Attribution(clip, scores, "random", is_mask=True, merge="mean")
