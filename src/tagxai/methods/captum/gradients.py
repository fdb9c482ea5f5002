"""captum's gradient algorithms: embeddings of the prompt in, log-probability of a window out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from tagxai.contract.cost import count
from tagxai.contract.run import Run
from tagxai.contract.values import Branch
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.lazy import Float, torch
from tagxai.methods.captum.method import CaptumMethod, WindowFunction


@dataclass(frozen=True)
class CaptumGradients(CaptumMethod):
    """The options of captum's algorithms that differentiate."""

    family: ClassVar[str] = "gradients"
    needs = frozenset({"gradients"})

    target: Literal["conditional", "guided"] = "conditional"
    """Whose log-probability: `conditional`, or `guided` (under classifier-free guidance)."""

    def window_function(self, run: Run) -> WindowFunction:
        return EmbeddingFunction(self, run)


class EmbeddingFunction(WindowFunction):
    """The log-probability of a window as a function of the text's embeddings; the baseline is the null condition."""

    differentiable = True

    def __init__(self, method: CaptumGradients, run: Run) -> None:
        self.method, self.run, self.inputs = method, run, run.conditioning.embeddings
        self._gains: torch.Tensor | None = None

    def options(self, known: tuple[str, ...]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.method.algorithm.takes_baselines:
            options["baselines"] = torch.zeros_like(self.inputs)
        if "internal_batch_size" in known and getattr(self.method, "internal_batch_size") is None:  # noqa: B009
            options["internal_batch_size"] = max(1, ROWS_AT_ONCE // self.run.generation.positions)
        return options

    def log_prob(self, inputs: torch.Tensor, window: range) -> Float[torch.Tensor, " batch"]:
        rows = replace(self.run.conditioning.expand(len(inputs)), embeddings=inputs.to(self.inputs.dtype))
        count(backward_passes=len(inputs) if inputs.requires_grad else 0)
        return self.run.forward(rows, branch=self.method.target).log_prob[..., window.start : window.stop].sum((1, 2))

    def gain_over_baseline(self, window: range) -> float:
        if self._gains is None:
            branches: tuple[Branch, Branch] = (self.method.target, "unconditional")
            given, null = (self.run.forward(branch=branch).log_prob for branch in branches)
            self._gains = (given - null)[0]
        return self._gains[:, window.start : window.stop].sum().item()

    def per_token(self, attributions: torch.Tensor) -> Float[torch.Tensor, " tokens"]:
        return attributions.norm(dim=-1) if self.method.algorithm.join == "length" else attributions.sum(-1)
