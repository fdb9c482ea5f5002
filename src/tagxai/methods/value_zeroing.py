"""Value zeroing: how much a layer's output turns without a token's value (Mohebbi et al., EACL 2023, section 3).

In one layer at a time, and with the layer's input as it is, the value of one token is made zero in cross-attention; the
weights stay. The score is the cosine distance between the layer's outputs, feed-forward network included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.generator import Capability, Generator
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.methods.families.layers import LayerMethod
from tagxai.probing.zeroed_values import check_layers, zeroing_distances


@dataclass(frozen=True)
class ValueZeroing(LayerMethod):
    """Value zeroing: the turn of each layer's output without a token's value, averaged (Mohebbi et al., EACL 2023)."""

    family: ClassVar[str] = "attention"
    name: ClassVar[str] = "value_zeroing"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention"})
    expense: ClassVar[str] = "1 forward pass + layers x tokens passes of one layer"

    def check_model(self, generator: Generator) -> None:
        check_layers(self.sites(generator))

    def explain(self, run: Run) -> Scores:
        return Scores(zeroing_distances(run, self.sites(run.model)))
