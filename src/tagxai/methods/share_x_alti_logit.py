"""Share x ALTI-Logit: *where* a token is read, from value zeroing, times *whether* it adds to what was made.

Nothing is taken out of the prompt, so a clip costs few passes however long its prompt is: for large models. It is
`share_x_effect` with ALTI-Logit in place of effects, under a root, since what tokens add varies much more from code to
code than what they cost when they are deleted:

    score of a token for a code = its share of value zeroing at the code's frame x sqrt(max(0, its ALTI-Logit))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import Workload
from tagxai.probing.logit_flow import logit_contributions
from tagxai.probing.stream_flow import check_followed
from tagxai.probing.zeroed_values import shares_of_frames


@dataclass(frozen=True)
class ShareXALTILogit(Method):
    """Share x ALTI-Logit: value zeroing's share of each frame times what the token adds; removes no word."""

    family: ClassVar[str] = "product"
    name: ClassVar[str] = "share_x_alti_logit"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention", "gradients"})
    expense: ClassVar[str] = "passes of alti_logit and of value_zeroing"

    feed_forward: bool = False
    """Count what feed-forward networks add, too, as in `alti_logit`."""
    root: float = 2.0
    """Which root is taken of what a token adds; higher roots bring a token's large and small additions closer."""

    def __post_init__(self) -> None:
        self.require("root", self.root >= 1, "at least 1")

    def check_model(self, generator: Generator) -> None:
        check_followed(generator.attention_sites())

    def explain(self, run: Run) -> Scores:
        added = logit_contributions(run, feed_forward=self.feed_forward).clamp(min=0)
        return Scores(shares_of_frames(run) * added ** (1 / self.root))

    def peak_memory(self, work: Workload) -> int:
        return max(2 * work.forward(1), work.forward(work.batch))
