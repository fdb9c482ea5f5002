"""Raw cross-attention: where the decoder looks (Bahdanau, Cho, Bengio, ICLR 2015, section 3.1, for this decoder)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.run import Run
from tagxai.methods.families.layers import LayerMethod
from tagxai.methods.families.one_pass import Observer, OnePassMethod
from tagxai.methods.families.weights_read import WeightMethod
from tagxai.probing.choice import choose


@dataclass(frozen=True)
class CrossAttention(WeightMethod, LayerMethod, OnePassMethod):
    """Raw cross-attention weights, averaged over layers and heads, or over some (Bahdanau et al., ICLR 2015)."""

    name: ClassVar[str] = "cross_attention"

    heads: str | None = None
    """Heads to average over in each layer, in the same way."""

    def observer(self, run: Run, sites: Sequence[AttentionSite]) -> Observer:
        return self.mean_weights(run, choose("head", self.heads, sites[0].heads // sites[0].levels))
