"""Raw cross-attention: where the decoder looks (Bahdanau, Cho, Bengio, ICLR 2015, section 3.1, for this decoder)."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from tagxai.contract.attention import AttentionSite, edit_attention
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.timeline import undo_delay
from tagxai.contract.values import Generation, OnProgress
from tagxai.contract.workload import Workload
from tagxai.lazy import torch
from tagxai.probing.choice import choose, chosen_layers
from tagxai.probing.edits import Capture


@dataclass(frozen=True)
class CrossAttention(Method):
    """Raw cross-attention weights, averaged over layers and heads, or over some (Bahdanau et al., ICLR 2015)."""

    name: ClassVar[str] = "cross_attention"
    needs = frozenset({"attention"})
    passes = "one forward pass"

    layers: str | None = None
    """Layers to average over, such as `0,3,-1` (0 is the first, -1 the last); none stands for all."""
    heads: str | None = None
    """Heads to average over in each layer, in the same way."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        sites = chosen_layers(generator.cross_attention(), self.layers)
        heads = choose("head", self.heads, sites[0].heads)
        capture = Capture()

        def look(site: AttentionSite, weights: torch.Tensor) -> None:
            capture(site, weights[:, heads])

        with torch.no_grad(), edit_attention(sites, look):
            generator.forward(generation, log_prob=False)
        return Attribution(
            generation,
            undo_delay(capture.weights()[0].float().cpu(), generation.delays, generation.frames),
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, "forward_passes": 1},
        )

    def memory(self, work: Workload) -> int:
        return work.forward(1)
