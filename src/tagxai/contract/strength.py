"""How strong a score is: what full colour, a full bar and a label stand for, on every page and picture."""

from __future__ import annotations

from tagxai.lazy import Float, torch

STRONG = 0.5
"""The share of full strength from which a word is said to be there: half of it."""


def full_strength(values: Float[torch.Tensor, "units frames"], frame_rate: float, *, is_mask: bool) -> float:
    """The size of score in full colour: 1 for a mask, else that of the strongest half second of any unit.

    It is one for the whole clip and all its intervals, so that a weak word looks weak even where it is the strongest.

    >>> import torch
    >>> full_strength(torch.tensor([[0.0, 4.0, 2.0, 0.0]]), frame_rate=4.0, is_mask=False)
    3.0
    """
    if is_mask:
        return 1.0
    exact = values.detach().double().cpu()
    size = max(1, min(exact.shape[1], int(frame_rate / 2 + 0.5)))
    sums = torch.nn.functional.pad(exact.cumsum(1), (1, 0))
    means = (sums[:, size:] - sums[:, :-size]) / size
    return max(means.abs().max().item(), 1e-30)
