"""Attention rollout (Abnar & Zuidema, ACL 2020, section 3), for a decoder that reads a prompt by cross-attention.

Their rule - attention mixed with the residual, multiplied over layers - has two sources here: the audio's own history
and the text. Self-attention passes on what earlier positions have gathered of the tokens, cross-attention adds to it:

    R <- r R + (1 - r) A_self R          R <- r R + (1 - r) A_cross          R starts at 0

The row sums of R grow towards one; what is missing, r^layers, is the share of the audio's own input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Generator
from tagxai.contract.query_blocks import query_by_query, query_rows
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.lazy import Float, torch
from tagxai.methods.families.one_pass import Observer, OnePassMethod, mean_over_heads
from tagxai.probing.carrying import carrying_sites


@dataclass(frozen=True)
class AttentionRollout(OnePassMethod):
    """Attention rollout: cross-attention carried on by self-attention over layers (Abnar & Zuidema, ACL 2020)."""

    name: ClassVar[str] = "attention_rollout"

    residual: float = 0.5
    """The share of a sublayer's output that comes by the residual connection; the paper's is 0.5."""

    def __post_init__(self) -> None:
        self.require("residual", 0 <= self.residual < 1, "at least 0 and below 1")

    def sites(self, generator: Generator) -> Sequence[AttentionSite]:
        return carrying_sites(generator)

    def observer(self, run: Run, sites: Sequence[AttentionSite]) -> Observer:
        return Rollout(self.residual, torch.zeros(run.generation.positions, len(run.generation.tokens)))

    def scores(self, run: Run, observer: Observer) -> Scores:
        share = 1 - observer.relevance().sum(-1).mean().item()
        return replace(super().scores(run, observer), diagnostics={"share_of_audio_input": share})


@query_by_query
class Rollout:
    """Carries the relevance from site to site of one teacher-forced pass."""

    def __init__(self, residual: float, relevance: Float[torch.Tensor, "positions tokens"]) -> None:
        self.residual, self._relevance = residual, relevance
        self._found: list[torch.Tensor] = []  # after the site, by blocks of queries

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None:
        rows = query_rows(weights)
        attention = mean_over_heads(weights.float(), site.levels)
        relevance = self._relevance.to(attention)
        gathered = attention @ relevance[..., : attention.shape[-1], :] if site.kind == "self" else attention
        self._found.append(self.residual * relevance[..., rows.first : rows.stop, :] + (1 - self.residual) * gathered)
        if rows.stop == rows.queries:
            self._relevance, self._found = torch.cat(self._found, dim=-2), []

    def relevance(self) -> Float[torch.Tensor, "*levels positions tokens"]:
        return self._relevance
