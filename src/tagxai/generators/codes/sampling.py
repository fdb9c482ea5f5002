"""Drawing codes from logits."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.lazy import Float, Int, torch


def draw(
    logits: Float[torch.Tensor, "*clips codebooks vocabulary"],
    top_k: int,
    temperature: float,
    random: torch.Generator | Sequence[torch.Generator],
) -> Int[torch.Tensor, "*clips codebooks"]:
    """One code for each codebook, of one clip or of several that are sampled alike; each has its own `random`."""
    if temperature == 0:
        return logits.argmax(-1)
    if 0 < top_k < logits.shape[-1]:
        smallest = logits.topk(top_k).values[..., -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    scaled = (logits - logits.amax(-1, keepdim=True)) / temperature  # largest 0, so that no temperature overflows
    shares = scaled.softmax(-1)
    # What `torch.multinomial` computes, to the bit, without its checks of the shares, for which the host would wait.
    waits = torch.empty_like(shares)
    for own, each in [(waits, random)] if isinstance(random, torch.Generator) else zip(waits, random, strict=True):
        own.exponential_(generator=each)
    return (shares / waits).argmax(-1)
