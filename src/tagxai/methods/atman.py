"""AtMan: what codes lose when a token's attention logits are suppressed (Deiseroth et al., NeurIPS 2023, section 3).

Before the softmax, in every cross-attention layer and head, the logits of a token are multiplied by 1 - f; the score is
the rise of the loss of each code. With concept grouping, tokens whose embeddings have a cosine similarity s to the
token of at least the threshold are suppressed along with it, by f * s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attention import AttentionSite, attention_call, edit_attention
from tagxai.contract.generator import Capability
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.lazy import Float, torch
from tagxai.methods.families.layers import LayerMethod


@dataclass(frozen=True)
class AtMan(LayerMethod):
    """AtMan: the rise of each code's loss when a token's attention logits are suppressed (Deiseroth et al., 2023)."""

    family: ClassVar[str] = "removal"
    name: ClassVar[str] = "atman"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention"})
    expense: ClassVar[str] = "1 + tokens forward passes, in batches"

    suppression: float = 0.9
    """f: a suppressed token's logits are multiplied by 1 - f."""
    threshold: float | None = None
    """Smallest cosine similarity of embeddings at which tokens are suppressed together; None suppresses them singly."""

    def __post_init__(self) -> None:
        self.require("suppression", 0 <= self.suppression <= 1, "between 0 and 1")
        self.require("threshold", self.threshold is None or -1 <= self.threshold <= 1, "between -1 and 1")

    def explain(self, run: Run) -> Scores:
        sites = self.sites(run.model)
        factors = self.factors(run.conditioning.embeddings[0].float())
        plain = run.forward().log_prob
        rises: list[torch.Tensor] = []
        for part in factors.split(max(1, ROWS_AT_ONCE // run.generation.positions)):
            with edit_attention(sites, Suppression(part)):
                suppressed = run.forward(run.conditioning.expand(len(part))).log_prob
            rises.append((plain - suppressed).cpu())
            run.report(sum(map(len, rises)), len(factors), "suppressing")
        return Scores(torch.cat(rises).permute(1, 2, 0).contiguous())

    def factors(self, embeddings: Float[torch.Tensor, "tokens dim"]) -> Float[torch.Tensor, "tokens tokens"]:
        """What row i, which asks about token i, multiplies the logits of each token by."""
        own = torch.eye(len(embeddings)).to(embeddings)
        if self.threshold is None:
            return 1 - self.suppression * own
        directions = torch.nn.functional.normalize(embeddings, dim=-1)
        similarity = (directions @ directions.T).clamp(-1, 1)
        return 1 - self.suppression * torch.where(own > 0, own, similarity * (similarity >= self.threshold))


class Suppression:
    """An edit that multiplies the logits of each token, and does the softmax again.

    It goes by way of the weights that it is given, so that edits around it keep their effect.
    """

    def __init__(self, factors: Float[torch.Tensor, "batch tokens"]) -> None:
        self.factors = factors[:, None, None]

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> torch.Tensor:
        logits, total = attention_call().logits, weights.sum(-1, keepdim=True)
        return (weights.log() + (self.factors - 1) * logits).softmax(-1).nan_to_num(0) * total
