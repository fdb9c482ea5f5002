"""Saliency: how strongly each code reacts to each token (Simonyan, Vedaldi, Zisserman, ICLR workshop 2014, section 3).

The paper takes the largest derivative over the colours of a pixel; an embedding has no such few parts, so its whole
gradient counts, by its length. A length needs every derivative: reverse mode takes a pass for each code, forward mode
one for each token and dimension, and the fewer are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.probing.derivatives import Derivatives, GradientTarget, Mode


@dataclass(frozen=True)
class Saliency(Method):
    """Saliency: the length of every code's gradient by each token's embedding (Simonyan et al., 2014)."""

    name: ClassVar[str] = "saliency"
    needs = frozenset({"gradients"})
    passes = "codes, in reverse mode; or tokens x dimensions in forward mode, if fewer"

    target: GradientTarget = "conditional"
    """Whose log-probability: `conditional`, or `guided` (under classifier-free guidance)."""
    mode: Mode = "auto"
    """Of differentiation: `auto` takes the one with fewer passes: codes against tokens x dimensions."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        work = Derivatives(generator, generation, target=self.target, mode=self.mode, on_progress=on_progress)
        return work.attribution(self, work.jacobian(work.embeddings).norm(dim=-1))
