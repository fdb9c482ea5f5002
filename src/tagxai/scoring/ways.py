"""Two views of how a text acts: by which way it reaches the network, and when in denoising."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import Float, torch
from tagxai.text.words import Unit


@dataclass(frozen=True, eq=False)
class WaysIn:
    """What each way into the network does for a clip.

    `lost` is how much log-probability the clip's outcomes lose where nothing is said by that way, in the mean over
    frames, for each stream (codebook, or noise level, the noisiest first). The ways overlap and complete one another,
    so that their losses need not add up to `together`, the loss where nothing is said at all.
    """

    lost: Mapping[str, Float[torch.Tensor, " streams"]]
    together: Float[torch.Tensor, " streams"]

    def shares(self) -> dict[str, float]:
        """Each way's loss, over all streams, as a share of the sum of the losses; one that helps counts as none."""
        found = {way: max(0.0, losses.sum().item()) for way, losses in self.lost.items()}
        total = sum(found.values())
        return {way: loss / total if total else 0.0 for way, loss in found.items()}


def ways_in(generator: Generator, generation: Generation) -> WaysIn:
    """Closes each way by which the texts of a clip reach the network, one at a time: a pass for each, and two more."""
    with torch.no_grad():
        plain = generator.forward(generation).log_prob
        closed = {way: generator.forward(generation, each) for way, each in generator.ways_in(generation).items()}
        none = generator.forward(generation, branch="unconditional").log_prob
    lost = {way: (plain - output.log_prob)[0].float().mean(-1).cpu() for way, output in closed.items()}
    return WaysIn(lost, (plain - none)[0].float().mean(-1).cpu())


def by_stream(attribution: Attribution, units: Sequence[Unit]) -> Float[torch.Tensor, "streams units"]:
    """The score of each unit in each stream, in the mean over the clip: for a latent model, when in denoising a word
    acts, from the noisiest level down."""
    frames = attribution.scores.float().mean(1)
    merged = [frames[:, list(unit.tokens)] for unit in units]
    return torch.stack([part.sum(1) if attribution.merge == "sum" else part.mean(1) for part in merged], 1)
