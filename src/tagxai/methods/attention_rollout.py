"""Attention rollout (Abnar & Zuidema, ACL 2020, section 3), for a decoder that reads a prompt by cross-attention.

Their rule - attention mixed with the residual, multiplied over layers - has two sources here: the audio's own history
and the text. Self-attention passes on what earlier steps have gathered of the tokens, cross-attention adds to it:

    R <- r R + (1 - r) A_self R          R <- r R + (1 - r) A_cross          R starts at 0

The row sums of R grow towards one; what is missing, r^layers, is the share of the audio's own input.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from jaxtyping import Float

from tagxai.contract.attention import AttentionSite, edit_attention
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.timeline import undo_delay
from tagxai.contract.values import Generation, OnProgress
from tagxai.lazy import torch


@dataclass(frozen=True)
class AttentionRollout(Method):
    """Attention rollout: cross-attention carried on by self-attention over layers (Abnar & Zuidema, ACL 2020)."""

    name: ClassVar[str] = "attention_rollout"
    needs = frozenset({"attention"})
    passes = "one forward pass"

    residual: float = 0.5
    """The share of a sublayer's output that comes by the residual connection; the paper's is 0.5."""

    def __post_init__(self) -> None:
        self.require("residual", 0 <= self.residual < 1, "at least 0 and below 1")

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        rollout = Rollout(self.residual, torch.zeros(generation.steps, len(generation.tokens)))
        with torch.no_grad(), edit_attention(generator.attention_sites(), rollout):
            generator.forward(generation, log_prob=False)
        relevance = rollout.relevance.cpu()
        return Attribution(
            generation,
            undo_delay(relevance, generation.delays, generation.frames),
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, "forward_passes": 1},
            diagnostics={"share_of_audio_input": 1 - relevance.sum(1).mean().item()},
        )


class Rollout:
    """An edit that only looks, and carries the relevance from site to site of one teacher-forced pass."""

    def __init__(self, residual: float, relevance: Float[torch.Tensor, "steps tokens"]) -> None:
        self.residual, self.relevance = residual, relevance

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None:
        attention = weights[0].float().mean(0)
        relevance = self.relevance.to(attention)
        gathered = attention @ relevance if site.kind == "self" else attention
        self.relevance = self.residual * relevance + (1 - self.residual) * gathered
