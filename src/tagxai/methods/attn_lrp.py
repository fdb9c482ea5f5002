"""AttnLRP: layer-wise relevance propagation with rules for attention (Achtibat et al., ICML 2024, section 3).

What is propagated is the logit of each code less the mean of all logits, weighted by their probability. Relevance
arrives at the prompt's tokens through keys and values of cross-attention, and at the clip's own past codes; biases and
softmaxes keep a part. Diagnostics have the share of each, and how far all of them are from adding up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import Workload
from tagxai.probing.relevance_flow import check_ruled, token_relevance
from tagxai.probing.relevance_rules import BESIDE, SoftmaxRule


@dataclass(frozen=True)
class AttnLRP(Method):
    """AttnLRP: relevance of each token by layer-wise propagation through attention (Achtibat et al., ICML 2024)."""

    family: ClassVar[str] = "gradients"
    name: ClassVar[str] = "attn_lrp"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention", "gradients"})
    expense: ClassVar[str] = "tokens + 3, in forward mode (in batches), and 1 forward and backward pass"

    softmax: SoftmaxRule = "taylor"
    """The rule of a softmax: AttnLRP's `taylor`, or `held`, as if weights were constant (Ali et al., ICML 2022)."""

    def check_model(self, generator: Generator) -> None:
        check_ruled(generator.attention_sites())

    def explain(self, run: Run) -> Scores:
        found = token_relevance(run, self.softmax)
        whole = found.target.sum().item()
        shares = {"text": found.of_tokens.sum()} | dict(zip(BESIDE, found.beside.sum((0, 1)), strict=True))
        diagnostics = {f"share_of_{name}": of.item() / whole if whole else 0.0 for name, of in shares.items()}
        return Scores(found.of_tokens, diagnostics={**diagnostics, "conservation_error": found.error()})

    def peak_memory(self, work: Workload) -> int:
        return work.tangents(work.tokens + len(BESIDE))
