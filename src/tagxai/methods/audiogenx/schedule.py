"""How AudioGenX learns: the paper's settings, and ours for free logits, chosen on the laboratory's validation split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tagxai.lazy import torch
from tagxai.methods.audiogenx.masks import WarmStart
from tagxai.methods.audiogenx.objective import PAPER_ALPHA


class Schedule(NamedTuple):
    """The options of `AudioGenX` of the same names, none left open."""

    epochs: int
    learning_rate: float
    weight_decay: float
    adam_beta1: float
    alpha: float
    smoothness: float
    noise: bool
    warm_start: WarmStart
    start_scale: float
    patience: int

    def has_converged(self, losses: Sequence[float], tolerance: float) -> bool:
        """Whether the last `patience` losses are not better by `tolerance` than the best before."""
        if self.patience == 0 or len(losses) <= self.patience:
            return False
        return min(losses[: -self.patience]) - min(losses[-self.patience :]) < tolerance

    def adam(self, parameters: list[torch.Tensor]) -> torch.optim.Adam:
        betas = (self.adam_beta1, 0.999)
        settings: dict[str, Any] = {"lr": self.learning_rate, "weight_decay": self.weight_decay, "betas": betas}
        return torch.optim.Adam(parameters, **settings)


PAPER = Schedule(
    epochs=50,
    learning_rate=1e-3,
    weight_decay=1e-3,
    adam_beta1=0.9,
    alpha=PAPER_ALPHA,
    smoothness=0.0,
    noise=True,
    warm_start="half",
    start_scale=0.5,
    patience=5,
)
LOGITS = Schedule(
    epochs=10,
    learning_rate=1.5,
    weight_decay=0.0,
    adam_beta1=0.5,
    alpha=3e-2,
    smoothness=0.01,
    noise=False,
    warm_start="value_zeroing",
    start_scale=0.5,
    patience=5,
)
LATENT_LOGITS = LOGITS._replace(learning_rate=0.1, warm_start="value_norms", start_scale=1.0)
"""For models that denoise latents, whose hidden states say little of when a word acts: a start that says it, and small
steps away from it."""
