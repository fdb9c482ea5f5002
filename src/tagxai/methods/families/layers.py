"""The base of methods that look at the cross-attention of all layers, or of some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.probing.choice import chosen_layers


@dataclass(frozen=True)
class LayerMethod(Method):
    """A method whose `sites` are the cross-attention of the layers that the user chose."""

    layers: str | None = None
    """Layers to use, such as `0,3,-1` (0 is the first, -1 the last); none means all."""

    def sites(self, generator: Generator) -> Sequence[AttentionSite]:
        """Where the method looks."""
        return chosen_layers(generator.cross_attention(), self.layers)
