"""Stable Audio 3's solver: a jump to clean latents, then back to the next noise level with new noise."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.generators.latents.solvers import Euler
from tagxai.lazy import Float, torch


class PingPong(Euler):
    """A solver for distilled flows, whose velocity leads straight to a clip. Noise is drawn from each clip's own seed,
    on a CPU and channels first, as diffusers draws it."""

    def step(
        self,
        latents: Float[torch.Tensor, "clips frames width"],
        velocity: Float[torch.Tensor, "clips frames width"],
        step: int,
        randoms: Sequence[torch.Generator],
    ) -> Float[torch.Tensor, "clips frames width"]:
        clean, following = latents - self._edges[step] * velocity, self._edges[step + 1]
        width_first = latents.shape[:0:-1]
        noise = torch.stack([torch.randn(width_first, generator=random).T for random in randoms])
        return (1 - following) * clean + following * noise.to(latents)
