"""captum's gradient algorithms: embeddings of the prompt in, log-probability of a window out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxtyping import Float

from tagxai.contract.generator import Generator
from tagxai.contract.values import Branch, Conditioning, Generation
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.lazy import torch
from tagxai.methods.captum.method import CaptumMethod, WindowFunction


@dataclass(frozen=True)
class CaptumGradients(CaptumMethod):
    """The options of captum's algorithms that differentiate."""

    needs = frozenset({"gradients"})

    target: Literal["conditional", "guided"] = "conditional"
    """Whose log-probability: `conditional`, or `guided` (under classifier-free guidance)."""

    def window_function(self, generator: Generator, generation: Generation) -> WindowFunction:
        return EmbeddingFunction(self, generator, generation)


class EmbeddingFunction(WindowFunction):
    """The log-probability of a window as a function of the text's embeddings; the baseline is the null condition."""

    differentiable = True

    def __init__(self, method: CaptumGradients, generator: Generator, generation: Generation) -> None:
        self.method, self.generator, self.generation = method, generator, generation
        self.conditioning = generator.encode_prompt([generation.prompt])
        self.inputs = self.conditioning.embeddings
        self.passes = {"reverse_mode_passes": 0}
        self._gains: torch.Tensor | None = None

    def options(self, known: tuple[str, ...]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.method.algorithm.takes_baselines:
            options["baselines"] = torch.zeros_like(self.inputs)
        if "internal_batch_size" in known and getattr(self.method, "internal_batch_size") is None:  # noqa: B009
            options["internal_batch_size"] = max(1, ROWS_AT_ONCE // self.generation.steps)
        return options

    def log_prob(self, inputs: torch.Tensor, window: range) -> Float[torch.Tensor, " batch"]:
        rows = replace(self.conditioning.expand(len(inputs)), embeddings=inputs.to(self.inputs.dtype))
        self.passes["reverse_mode_passes"] += len(inputs)
        return self._of_every_code(rows, self.method.target)[..., window.start : window.stop].sum((1, 2))

    def gain_over_baseline(self, window: range) -> float:
        if self._gains is None:
            with torch.no_grad():
                given, null = (
                    self._of_every_code(self.conditioning, branch) for branch in (self.method.target, "unconditional")
                )
            self._gains = (given - null)[0]
        return self._gains[:, window.start : window.stop].sum().item()

    def per_token(self, attributions: torch.Tensor) -> Float[torch.Tensor, " tokens"]:
        return attributions.norm(dim=-1) if self.method.algorithm.join == "length" else attributions.sum(-1)

    def _of_every_code(self, rows: Conditioning, branch: Branch) -> torch.Tensor:
        log_prob = self.generator.forward(self.generation, rows, branch=branch).log_prob
        assert log_prob is not None
        return log_prob
