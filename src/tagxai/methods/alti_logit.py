"""ALTI-Logit: what each token adds to the log-probability of each code (Ferrando et al., ACL 2023, section 3).

The final stream is a sum of what all layers have written, so to first order a code's log-probability is, too: an update
u counts as its product with the log-probability's gradient by the stream that leaves the last layer. Attention's update
is a sum over keys. A key of cross-attention is a token; what a key of self-attention adds is shared out to the tokens
by their ALTI contributions to that position, at the layer's input. The paper leaves out what feed-forward networks add.
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


@dataclass(frozen=True)
class ALTILogit(Method):
    """ALTI-Logit: each token's part in the log-probability that layers build up (Ferrando et al., ACL 2023)."""

    family: ClassVar[str] = "attention"
    name: ClassVar[str] = "alti_logit"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention", "gradients"})
    expense: ClassVar[str] = "2 forward passes, with each token's share of every layer"

    feed_forward: bool = False
    """Share out what feed-forward networks add, too, by the tokens' contributions to their input."""

    def check_model(self, generator: Generator) -> None:
        check_followed(generator.attention_sites())

    def explain(self, run: Run) -> Scores:
        return Scores(logit_contributions(run, feed_forward=self.feed_forward))

    def peak_memory(self, work: Workload) -> int:
        return 2 * work.forward(1)
