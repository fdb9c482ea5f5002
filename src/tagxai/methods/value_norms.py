"""Norms of weighted, transformed values: how much of each token really flows (Kobayashi et al., EMNLP 2020, section 3).

A large weight on a small value moves nothing. The contribution of a token to a position is the norm of the sum over
heads of alpha W_o v, which is what cross-attention adds to the position because of the token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.run import Run
from tagxai.methods.families.layers import LayerMethod
from tagxai.methods.families.one_pass import MeanOverSites, Observer, OnePassMethod
from tagxai.probing.contributions import norms_at


@dataclass(frozen=True)
class ValueNorms(LayerMethod, OnePassMethod):
    """Value-weighted attention: the norm of what each token adds, averaged over layers (Kobayashi et al., 2020)."""

    name: ClassVar[str] = "value_norms"

    def observer(self, run: Run, sites: Sequence[AttentionSite]) -> Observer:
        return MeanOverSites(norms_at)
