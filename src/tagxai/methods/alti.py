"""ALTI: contributions by how near each part brings a sublayer to its output (Ferrando et al., EMNLP 2022, section 3).

A pre-norm sublayer adds up: y = x + sum of T_j, where T_j, the sum over heads of alpha W_o v, is the part of key j. The
contribution of a part is max(0, |y| - |y - T_j|) in the L1 norm, scaled to sum to one over all parts of y. In
self-attention a position's residual counts to the position itself; in cross-attention it is a part of its own, as in
ALTI+ (Ferrando et al., EMNLP 2022b). Layers join as in attention rollout, so rows of all that is said sum to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Generator
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.lazy import torch
from tagxai.methods.families.one_pass import OnePassMethod
from tagxai.probing.carrying import carrying_sites
from tagxai.probing.stream_flow import Flow, check_followed, follow


@dataclass(frozen=True)
class ALTI(OnePassMethod):
    """ALTI: layer-wise contributions of values and residuals, carried over all layers (Ferrando et al., 2022)."""

    name: ClassVar[str] = "alti"
    expense: ClassVar[str] = "one forward pass, with each token's share of every layer"

    def sites(self, generator: Generator) -> Sequence[AttentionSite]:
        return carrying_sites(generator)

    def check_model(self, generator: Generator) -> None:
        check_followed(self.sites(generator))

    def observer(self, run: Run, sites: Sequence[AttentionSite]) -> Flow:
        return Flow(torch.zeros(run.generation.positions, len(run.generation.tokens)))

    def explain(self, run: Run) -> Scores:
        sites = self.sites(run.model)
        flow = self.observer(run, sites)
        follow(run, sites, flow)
        share = 1 - flow.relevance().cpu().sum(1).mean().item()
        return replace(self.scores(run, flow), diagnostics={"share_of_audio_input": share})
