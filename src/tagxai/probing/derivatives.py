"""How the log-probability of each code changes with the prompt's embeddings, by the mode that takes fewer passes.

Forward mode takes a pass for each direction in which the embeddings may move, reverse mode one for each output. What a
method asks decides which are fewer: a number for each token is one direction a token (forward, but for the shortest
clips); a length over all of an embedding's dimensions is as many directions as there are dimensions (reverse, unless
the model is narrow or the clip long). Both are exact, and give the same up to rounding.

In reverse mode a causal model is run for a few frames at a time, without the later ones, on which they do not depend:
half of the work of running the whole clip back from each of its codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from tagxai.contract.cost import count
from tagxai.contract.generator import check_guided_scores
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import ROWS_AT_ONCE
from tagxai.lazy import Float, torch
from tagxai.probing.forward_mode import NoForwardModeError, directional_derivatives, one_token_at_a_time

Mode = Literal["auto", "forward", "reverse"]
"""`auto` counts: forward mode where there are more outputs than directions of the input, else reverse mode."""

GradientTarget = Literal["conditional", "guided"]
"""Whose log-probability. (With the prompt minus without has the derivatives of `conditional`.)"""


FRAMES_AT_ONCE = 8
"""Frames of a causal model whose derivatives are taken from one pass, in reverse mode."""


def choose_mode(outputs: int, directions: int) -> Literal["forward", "reverse"]:
    """The mode with fewer passes."""
    return "forward" if outputs > directions else "reverse"


class Derivatives:
    """Derivatives for one clip, by the mode that takes fewer passes.

    `calls` is how many derivatives the method will ask for; progress is reported against it.
    """

    def __init__(
        self, run: Run, *, target: GradientTarget = "conditional", mode: Mode = "auto", calls: int = 1
    ) -> None:
        check_guided_scores(run.model, target)
        self.run, self.target, self.mode, self.calls = run, target, mode, calls
        clip = run.generation
        self.outputs = clip.streams * clip.frames
        self._taken: set[str] = set()
        self._calls_done = 0

    @property
    def embeddings(self) -> Float[torch.Tensor, "tokens dim"]:
        return self.run.conditioning.embeddings[0]

    def per_token(
        self, point: Float[torch.Tensor, "tokens dim"], along: Float[torch.Tensor, "tokens dim"]
    ) -> Float[torch.Tensor, "streams frames tokens"]:
        """At the embeddings `point`: the derivative as one token moves in its own direction of `along`."""
        if self._chosen(len(along)) == "forward":
            try:
                return torch.cat(list(self._forward(point, one_token_at_a_time(along))), dim=-1)
            except NoForwardModeError:
                if self.mode == "forward":  # asked for by name
                    raise
                self.mode = "reverse"
                self._taken.discard("forward")
        return torch.cat([(rows * along).sum(-1) for rows in self._reverse(point)], dim=1)

    def jacobian(self, point: Float[torch.Tensor, "tokens dim"]) -> Float[torch.Tensor, "streams frames tokens dim"]:
        """At the embeddings `point`: the derivative by each of their numbers."""
        if self._chosen(point.numel()) == "reverse":
            return torch.cat(list(self._reverse(point)), dim=1)
        axes = torch.eye(point.numel(), dtype=point.dtype, device=point.device).unflatten(1, point.shape)
        return torch.cat(list(self._forward(point, axes)), dim=-1).unflatten(-1, point.shape)

    def scores(self, values: Float[torch.Tensor, "streams frames tokens"], *, complete: bool = False) -> Scores:
        """The result. `complete` also reports how far the scores are from adding up to the prompt's effect."""
        values = values.detach().float().cpu()
        missed = {}
        if complete:
            difference = (values.sum(-1) - self._effect_of_prompt()).abs()
            missed = {
                "completeness_error_mean": difference.mean().item(),
                "completeness_error_max": difference.max().item(),
            }
        (mode,) = self._taken
        return Scores(values, diagnostics={"outputs": self.outputs, **missed}, used={"mode": mode})

    def _chosen(self, directions: int) -> Literal["forward", "reverse"]:
        return choose_mode(self.outputs, directions) if self.mode == "auto" else self.mode

    def _forward(self, point: torch.Tensor, along: torch.Tensor) -> Iterator[torch.Tensor]:
        run, at = self.run, replace(self.run.conditioning, embeddings=point[None])
        self._taken.add("forward")
        done = 0
        for part in self._batches(along):
            yield directional_derivatives(run.model, run.generation, at, part, branch=self.target)
            done += len(part)
            self._report(done, len(along), "forward mode")
        self._calls_done += 1

    def _reverse(self, point: torch.Tensor) -> Iterator[Float[torch.Tensor, "streams _frames tokens dim"]]:
        """The gradient of each code's log-probability, some frames at a time."""
        model, clip = self.run.model, self.run.generation
        self._taken.add("reverse")
        done, step = 0, FRAMES_AT_ONCE if "causal" in model.offers else clip.frames
        with torch.enable_grad():
            at = point.detach()[None].clone().requires_grad_()
            conditioning = replace(self.run.conditioning, embeddings=at)
            for start in range(0, clip.frames, step):
                stop = min(start + step, clip.frames)
                output = model.forward(model.until(clip, stop), conditioning, branch=self.target)
                found: list[torch.Tensor] = []
                for part in self._batches(output.log_prob[0, :, start:stop].flatten()):
                    count(backward_passes=len(part))
                    # one by one: not every backend's operations know `vmap`
                    found += [torch.autograd.grad(each, at, retain_graph=True)[0][0] for each in part]
                    done += len(part)
                    self._report(done, self.outputs, "reverse mode")
                yield torch.stack(found).unflatten(0, (clip.streams, stop - start))
        self._calls_done += 1

    def _batches(self, rows: torch.Tensor) -> Iterator[torch.Tensor]:
        yield from rows.split(max(1, ROWS_AT_ONCE // self.run.generation.positions))

    def _report(self, done: int, of: int, message: str) -> None:
        self.run.report(self._calls_done * of + done, self.calls * of, message)

    def _effect_of_prompt(self) -> Float[torch.Tensor, "streams frames"]:
        """Log-probability with the prompt minus without it."""
        given = self.run.forward(branch=self.target).log_prob
        null = self.run.forward(branch="unconditional").log_prob
        return (given - null)[0].float().cpu()
