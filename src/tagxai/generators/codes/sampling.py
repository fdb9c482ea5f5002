"""Drawing codes from logits."""

from __future__ import annotations

from tagxai.lazy import torch


def draw(logits: torch.Tensor, top_k: int, temperature: float, random: torch.Generator) -> torch.Tensor:
    """One code a row of `logits[codebooks, vocabulary]`."""
    if temperature == 0:
        return logits.argmax(-1)
    if 0 < top_k < logits.shape[-1]:
        smallest = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    scaled = (logits - logits.amax(-1, keepdim=True)) / temperature  # largest 0, so that no temperature overflows
    return torch.multinomial(scaled.softmax(-1), 1, generator=random)[:, 0]
