"""How latents get from noise to a clip: what the network reads at each step, and where its velocity leads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tagxai.lazy import Float, torch


class Solver(ABC):
    """One run from noise to clean latents; a new one for each batch, so that it may remember earlier steps.

    `levels` has the noise level of each step as the network is given it, from the noisiest.
    """

    levels: Float[torch.Tensor, " steps"]

    def start(self, noise: Float[torch.Tensor, "clips frames width"]) -> torch.Tensor:
        """What the first step starts from."""
        return noise

    def read(self, latents: Float[torch.Tensor, "clips frames width"], step: int) -> torch.Tensor:
        """What the network reads."""
        return latents

    @abstractmethod
    def step(
        self,
        latents: Float[torch.Tensor, "clips frames width"],
        velocity: Float[torch.Tensor, "clips frames width"],
        step: int,
        randoms: Sequence[torch.Generator],
    ) -> Float[torch.Tensor, "clips frames width"]:
        """The latents after a step. `randoms` are the clips' own, for solvers that add noise."""


class Euler(Solver):
    """Straight steps along the velocity of a flow, `noise - latents`; the last ends at level 0."""

    def __init__(self, levels: Float[torch.Tensor, " steps_and_1"]) -> None:
        self._edges, self.levels = levels, levels[:-1]

    def step(
        self, latents: torch.Tensor, velocity: torch.Tensor, step: int, randoms: Sequence[torch.Generator]
    ) -> torch.Tensor:
        return latents + (self._edges[step + 1] - self._edges[step]) * velocity
