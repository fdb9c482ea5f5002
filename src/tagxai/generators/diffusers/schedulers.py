"""Solvers that are diffusers' own schedulers, with noise that is the same on every device and in every batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagxai.generators.latents.solvers import Solver
from tagxai.lazy import Float, torch


class Scheduled(Solver):
    """A scheduler that adds no noise; its timesteps are the levels."""

    def __init__(self, scheduler: Any, steps: int, device: torch.device) -> None:
        """A new run of a scheduler configured like this one, which is left as it is."""
        self._scheduler = type(scheduler).from_config(scheduler.config)
        self._scheduler.set_timesteps(steps, device=device)
        self._times = self._scheduler.timesteps
        self.levels = self._times.float()

    def start(self, noise: Float[torch.Tensor, "clips frames width"]) -> torch.Tensor:
        return noise * self._scheduler.init_noise_sigma

    def read(self, latents: Float[torch.Tensor, "clips frames width"], step: int) -> torch.Tensor:
        return self._scheduler.scale_model_input(latents, self._times[step])

    def step(
        self,
        latents: Float[torch.Tensor, "clips frames width"],
        velocity: Float[torch.Tensor, "clips frames width"],
        step: int,
        randoms: Sequence[torch.Generator],
    ) -> Float[torch.Tensor, "clips frames width"]:
        return self._scheduler.step(velocity, self._times[step], latents).prev_sample


class CosineDPM(Scheduled):
    """`CosineDPMSolverMultistepScheduler`, which adds noise of a Brownian tree of each clip's own seed.

    `levels` are 2/pi times the angle whose tangent is sigma.
    """

    def step(
        self,
        latents: Float[torch.Tensor, "clips frames width"],
        velocity: Float[torch.Tensor, "clips frames width"],
        step: int,
        randoms: Sequence[torch.Generator],
    ) -> Float[torch.Tensor, "clips frames width"]:
        if step == 0:
            self._scheduler.noise_sampler = self._noise(latents, randoms)
        return super().step(latents, velocity, step, randoms)

    def _noise(self, latents: torch.Tensor, randoms: Sequence[torch.Generator]) -> Any:
        from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

        low, high = self._scheduler.config.sigma_min, self._scheduler.config.sigma_max
        drawn = torch.zeros_like(latents.transpose(1, 2), device="cpu", memory_format=torch.contiguous_format)
        tree: Any = BrownianTreeNoiseSampler(drawn, low, high, [random.initial_seed() for random in randoms])

        def between(sigma: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
            if following == 0:  # the last step adds none; the tree does not reach there
                return torch.zeros_like(latents)
            return tree(sigma.clamp(low, high), following.clamp(low, high)).transpose(1, 2)

        return between
