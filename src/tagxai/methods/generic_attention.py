"""Generic attention explainability (Chefer, Gur, Wolf, ICCV 2021, section 3), for a decoder that reads a prompt.

Attention counts where it helps the target: C = the mean over heads of the positive part of gradient x attention. With
R_ss [steps, steps] (starts at the identity) and R_st [steps, tokens] (starts at 0), in the order of the layers,

    self-attention    R_ss <- R_ss + C R_ss        R_st <- R_st + C R_st                 (equations 6 and 7)
    cross-attention   R_st <- R_st + N(R_ss)^T C                                         (equation 10)

where N scales what R_ss has beyond the identity to rows of sum one (equations 8 and 9). Tokens do not attend to
audio, and the text encoder counts as given (R_tt is the identity). A window's answer is the mean of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from jaxtyping import Float

from tagxai.contract.attention import AttentionSite
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.lazy import torch
from tagxai.probing.attention_gradients import each_weight_with_gradient, windows


@dataclass(frozen=True)
class GenericAttention(Method):
    """Generic attention explainability: gradient x attention by relevance rules over layers (Chefer et al., 2021)."""

    name: ClassVar[str] = "generic_attention"
    needs = frozenset({"attention", "gradients"})
    passes = "one forward and one backward pass for each window of `resolution` seconds"

    resolution: float | None = 0.5
    """Seconds of audio whose log-probability is one target; each target costs a row of a forward and backward pass, and
    has one score for all its frames. None takes the whole clip as one."""
    causal: bool = False
    """Use N(R_ss) in equation 10 where the paper transposes it: a step then gathers from steps before it alone, as the
    decoder does. Transposed, a step also gathers what later steps of its window have read."""

    def attribute(
        self, generator: Generator, generation: Generation, *, on_progress: OnProgress | None = None
    ) -> Attribution:
        self.check_supported(generator)
        started = perf_counter()
        targets = windows(generation, self.resolution)
        relevance = [Relevance(generation.steps, len(generation.tokens), transpose=not self.causal) for _ in targets]

        def look(window: int, site: AttentionSite, weights: torch.Tensor, gradients: torch.Tensor) -> None:
            relevance[window].update(site, (weights * gradients).clamp(min=0).mean(0))

        sites = generator.attention_sites()
        passes = each_weight_with_gradient(generator, generation, sites, targets, look, on_progress=on_progress)
        scores = torch.zeros(1, generation.frames, len(generation.tokens))
        for frames, found in zip(targets, relevance, strict=True):
            rows = slice(frames.start, frames.stop + max(generation.delays))  # the steps that predict these frames
            scores[0, frames.start : frames.stop] = found.of_tokens[rows].mean(0).cpu()
        return Attribution(
            generation,
            scores,
            self.name,
            self.settings(),
            cost={"seconds": perf_counter() - started, **passes},
        )


class Relevance:
    """What each step has gathered from audio and from text, after the sites that were given to `update`."""

    def __init__(self, steps: int, tokens: int, *, transpose: bool) -> None:
        self.transpose = transpose
        self.of_steps: Float[torch.Tensor, "steps steps"] = torch.eye(steps)
        self.of_tokens: Float[torch.Tensor, "steps tokens"] = torch.zeros(steps, tokens)

    def update(self, site: AttentionSite, attention: Float[torch.Tensor, "steps keys"]) -> None:
        of_steps, of_tokens = self.of_steps.to(attention), self.of_tokens.to(attention)
        if site.kind == "self":
            self.of_steps = of_steps + attention @ of_steps
            self.of_tokens = of_tokens + attention @ of_tokens
        else:
            mixing = normalised(of_steps)
            self.of_tokens = of_tokens + (mixing.T if self.transpose else mixing) @ attention


def normalised(relevance: Float[torch.Tensor, "steps steps"]) -> Float[torch.Tensor, "steps steps"]:
    """The identity plus what is beyond it, scaled to rows of sum one; a row with nothing beyond stays as it is."""
    identity = torch.eye(len(relevance)).to(relevance)
    beyond = relevance - identity
    total = beyond.sum(1, keepdim=True)
    return identity + torch.where(total > 0, beyond / total, 0)
