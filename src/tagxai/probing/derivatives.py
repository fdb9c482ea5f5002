"""How the log-probability of each code changes with the prompt's embeddings, by the mode that takes fewer passes.

Forward mode takes a pass for each direction in which the embeddings may move, reverse mode one for each output. What a
method asks decides which are fewer: a number for each token is one direction a token (forward, but for the shortest
clips); a length over all of an embedding's dimensions is as many directions as there are dimensions (reverse, unless
the model is narrow or the clip long). Both are exact, and give the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any, Literal

from jaxtyping import Float

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress, Progress
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.lazy import torch
from tagxai.probing.forward_mode import directional_derivatives, one_token_at_a_time

Mode = Literal["auto", "forward", "reverse"]
"""`auto` counts: forward mode where there are more outputs than directions of the input, else reverse mode."""

GradientTarget = Literal["conditional", "guided"]
"""Whose log-probability. (With the prompt minus without has the derivatives of `conditional`.)"""


def choose_mode(outputs: int, directions: int) -> Literal["forward", "reverse"]:
    """The mode with fewer passes."""
    return "forward" if outputs > directions else "reverse"


class Derivatives:
    """Derivatives for one clip; counts their passes and makes the Attribution that says which mode was taken.

    `calls` is how many derivatives the method will ask for; progress is reported against it.
    """

    def __init__(
        self,
        generator: Generator,
        generation: Generation,
        *,
        target: GradientTarget = "conditional",
        mode: Mode = "auto",
        calls: int = 1,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.generator, self.generation, self.target, self.mode = generator, generation, target, mode
        self.calls, self.on_progress = calls, on_progress
        self.conditioning = generator.encode_prompt([generation.prompt])
        self.outputs = generation.codes.numel()
        self.passes = {"forward": 0, "reverse": 0}
        self._started, self._calls_done = perf_counter(), 0

    @property
    def embeddings(self) -> Float[torch.Tensor, "tokens dim"]:
        return self.conditioning.embeddings[0]

    def per_token(
        self, point: Float[torch.Tensor, "tokens dim"], along: Float[torch.Tensor, "tokens dim"]
    ) -> Float[torch.Tensor, "codebooks frames tokens"]:
        """At the embeddings `point`: the derivative as one token moves in its own direction of `along`."""
        if self._chosen(len(along)) == "forward":
            return torch.cat(list(self._forward(point, one_token_at_a_time(along))), dim=-1)
        return torch.cat([(rows * along).sum(-1) for rows in self._reverse(point)]).unflatten(0, self._shape)

    def jacobian(self, point: Float[torch.Tensor, "tokens dim"]) -> Float[torch.Tensor, "codebooks frames tokens dim"]:
        """At the embeddings `point`: the derivative by each of their numbers."""
        if self._chosen(point.numel()) == "reverse":
            return torch.cat(list(self._reverse(point))).unflatten(0, self._shape)
        axes = torch.eye(point.numel(), dtype=point.dtype, device=point.device).unflatten(1, point.shape)
        return torch.cat(list(self._forward(point, axes)), dim=-1).unflatten(-1, point.shape)

    def attribution(
        self,
        method: Method,
        scores: Float[torch.Tensor, "codebooks frames tokens"],
        *,
        complete: bool = False,
        diagnostics: Mapping[str, Any] | None = None,
    ) -> Attribution:
        """The result. `complete` also reports how far the scores are from adding up to the prompt's effect."""
        scores = scores.detach().float().cpu()
        passes: dict[str, float] = {f"{mode}_mode_passes": count for mode, count in self.passes.items() if count}
        missed = {}
        if complete:
            difference = (scores.sum(-1) - self._effect()).abs()
            missed = {
                "completeness_error_mean": difference.mean().item(),
                "completeness_error_max": difference.max().item(),
            }
            passes["forward_passes"] = 2
        (mode,) = (mode for mode, count in self.passes.items() if count)
        return Attribution(
            self.generation,
            scores,
            method.name,
            method.settings(),
            cost={"seconds": perf_counter() - self._started, **passes},
            diagnostics={"mode": mode, "outputs": self.outputs, **missed, **(diagnostics or {})},
        )

    @property
    def _shape(self) -> tuple[int, int]:
        codebooks, frames = self.generation.codes.shape
        return codebooks, frames

    def _chosen(self, directions: int) -> Literal["forward", "reverse"]:
        return choose_mode(self.outputs, directions) if self.mode == "auto" else self.mode

    def _forward(self, point: torch.Tensor, along: torch.Tensor) -> Iterator[torch.Tensor]:
        at = replace(self.conditioning, embeddings=point[None])
        for part in self._batches(along, "forward"):
            yield directional_derivatives(self.generator, self.generation, at, part, branch=self.target)

    def _reverse(self, point: torch.Tensor) -> Iterator[torch.Tensor]:
        """The gradient of each code's log-probability, `[outputs, tokens, dim]` in parts."""
        with torch.enable_grad():
            at = point.detach()[None].clone().requires_grad_()
            conditioning = replace(self.conditioning, embeddings=at)
            log_prob = self.generator.forward(self.generation, conditioning, branch=self.target).log_prob
            assert log_prob is not None
            outputs = log_prob[0].flatten()
            for part in self._batches(outputs, "reverse"):  # one by one: not every backend's operations know `vmap`
                yield torch.stack([torch.autograd.grad(each, at, retain_graph=True)[0][0] for each in part])

    def _batches(self, rows: torch.Tensor, mode: str) -> Iterator[torch.Tensor]:
        size = max(1, ROWS_AT_ONCE // self.generation.steps)
        done = 0
        for part in rows.split(size):
            yield part
            done += len(part)
            self.passes[mode] += len(part)
            if self.on_progress is not None:
                total = self.calls * len(rows)
                self.on_progress(Progress(self._calls_done * len(rows) + done, total, f"{mode} mode"))
        self._calls_done += 1

    def _effect(self) -> Float[torch.Tensor, "codebooks frames"]:
        """Log-probability with the prompt minus without it."""
        with torch.no_grad():
            given = self.generator.forward(self.generation, self.conditioning, branch=self.target).log_prob
            null = self.generator.forward(self.generation, self.conditioning, branch="unconditional").log_prob
        assert given is not None
        assert null is not None
        return (given - null)[0].float().cpu()
