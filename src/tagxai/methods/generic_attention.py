"""Generic attention explainability (Chefer, Gur, Wolf, ICCV 2021, section 3), for a decoder that reads a prompt.

Attention counts where it helps the target: C = the mean over heads of the positive part of gradient x attention. With
R_ss [positions, positions], which starts at the identity, and R_st [positions, tokens], which starts at 0, in the order
of the layers,

    self-attention    R_ss <- R_ss + C R_ss        R_st <- R_st + C R_st                 (equations 6 and 7)
    cross-attention   R_st <- R_st + N(R_ss)^T C                                         (equation 10)

where N scales what R_ss has beyond the identity to rows of sum one (equations 8 and 9). Tokens do not attend to
audio, and the text encoder counts as given (R_tt is the identity). A window's answer is the mean of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Generator
from tagxai.contract.run import Run
from tagxai.lazy import Float, torch
from tagxai.methods.families.gradient_attention import GradientAttentionMethod
from tagxai.methods.families.one_pass import mean_over_heads
from tagxai.probing.attention_gradients import WeightObserver
from tagxai.probing.carrying import carrying_sites


@dataclass(frozen=True)
class GenericAttention(GradientAttentionMethod):
    """Generic attention explainability: gradient x attention by relevance rules over layers (Chefer et al., 2021)."""

    name: ClassVar[str] = "generic_attention"

    causal: bool = False
    """Use N(R_ss) in equation 10 where the paper transposes it: a position then gathers from positions before it alone,
    as the decoder does. Transposed, a position also gathers what later positions of its window have read."""

    def sites(self, generator: Generator) -> Sequence[AttentionSite]:
        return carrying_sites(generator)

    def observer(
        self,
        run: Run,
        sites: Sequence[AttentionSite],
        targets: Sequence[range],
        scores: Float[torch.Tensor, "streams frames tokens"],
    ) -> WeightObserver:
        clip, last = run.generation, sites[-1].name
        relevance = [Relevance(clip.positions, len(clip.tokens), transpose=not self.causal) for _ in targets]

        def look(window: int, site: AttentionSite, weights: torch.Tensor, gradients: torch.Tensor) -> None:
            helping = (weights * gradients).clamp(min=0)
            relevance[window].update(site, mean_over_heads(helping[None], site.levels))
            if site.name == last:
                frames, found = targets[window], relevance[window].of_tokens
                read = found[..., clip.timeline.predicting(frames), :].flatten(0, -2)
                scores[:, frames.start : frames.stop] = read.mean(0).cpu()

        return look


class Relevance:
    """What each position has gathered from audio and from text, after the sites that were given to `update`.

    Noise levels gather apart.
    """

    def __init__(self, positions: int, tokens: int, *, transpose: bool) -> None:
        self.transpose = transpose
        self.of_audio: Float[torch.Tensor, "*levels positions positions"] = torch.eye(positions)
        self.of_tokens: Float[torch.Tensor, "*levels positions tokens"] = torch.zeros(positions, tokens)

    def update(self, site: AttentionSite, attention: Float[torch.Tensor, "*levels positions keys"]) -> None:
        of_audio, of_tokens = self.of_audio.to(attention), self.of_tokens.to(attention)
        if site.kind == "self":
            self.of_audio = of_audio + attention @ of_audio
            self.of_tokens = of_tokens + attention @ of_tokens
        else:
            mixing = normalised(of_audio)
            self.of_tokens = of_tokens + (mixing.mT if self.transpose else mixing) @ attention


def normalised(
    relevance: Float[torch.Tensor, "*levels positions positions"],
) -> Float[torch.Tensor, "*levels positions positions"]:
    """The identity plus what is beyond it, scaled to rows of sum one; a row with nothing beyond stays as it is."""
    identity = torch.eye(relevance.shape[-1]).to(relevance)
    beyond = relevance - identity
    total = beyond.sum(-1, keepdim=True)
    return identity + torch.where(total > 0, beyond / total, 0)
