"""What models that denoise latents share: clips, and what the network read at recorded noise levels, run again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from tagxai.contract.attention import Position, at
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Capability
from tagxai.contract.request import Request, Setting
from tagxai.contract.state import plain
from tagxai.contract.timeline import LatentFrames
from tagxai.contract.values import Branch, Conditioning, Generation, OnProgress, StepOutput
from tagxai.generators.jobs import read_jobs
from tagxai.generators.latents.batches import denoise_in_batches
from tagxai.generators.latents.sites import showing
from tagxai.generators.latents.solvers import Solver
from tagxai.generators.prompted import PromptedGenerator
from tagxai.lazy import Float, torch

Guidance = Callable[[Any, Any, int], Any]
"""`mix(velocity given the prompt, velocity given none, step) -> velocity`."""


class Prediction(NamedTuple):
    """What a network says of noisy latents, in float32."""

    velocity: Float[torch.Tensor, "rows frames width"]
    hidden: Float[torch.Tensor, "rows frames dim"]
    """The states that its last projection reads."""


class LatentGenerator(PromptedGenerator):
    """A network that predicts a velocity (or noise) of latents at a noise level, under classifier-free guidance.

    A clip's record is its final latents, what the network read at `levels` of the steps that led there, and those noise
    levels. `log_prob` is minus half the squared error of the velocity at each of them, against the one that leads from
    there to the clip's own final latents: a Gaussian log-likelihood of unit variance but for a constant. The record is
    used, never fresh noise: maps from two noises agree less than methods do.

    A backend sets the attributes in its constructor, and writes `_embed`, `solver`, `_predict`, `decode_latents`, and
    `target` where the network does not predict `noise - latents`. Every attention site is a `LatentSite`.
    """

    offers: ClassVar[frozenset[Capability]] = frozenset({"gradients", "attention", "coupled"})
    unit: ClassVar[str] = "nats per noise level and latent frame, of unit variance, but for a constant"
    guided_scores: ClassVar[bool] = False
    row_by_row: ClassVar[bool] = False  # whether the network's rows meet in no operation but products with its weights

    width: int  # of the latents: numbers in a frame
    levels: int = 4  # noise levels that `forward` runs, at most as many as steps
    default_denoising_steps: int

    # -- what a backend writes -----------------------------------------------------------------------------------

    @abstractmethod
    def solver(self, settings: Mapping[str, Any]) -> Solver:
        """A new run from noise to latents, by the request's settings."""

    @abstractmethod
    def _predict(
        self,
        latents: Float[torch.Tensor, "rows frames width"],
        levels: Float[torch.Tensor, " levels"],
        conditioning: Conditioning,
        timeline: LatentFrames,
    ) -> Prediction:
        """The network's answer for `len(conditioning) * levels` rows, levels innermost. Differentiable."""

    @abstractmethod
    def decode_latents(
        self, latents: Float[torch.Tensor, "frames width"], timeline: LatentFrames
    ) -> Float[torch.Tensor, "channels samples"]:
        """Sound at `sample_rate`, of the clip's length. Called without gradients."""

    def null(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> Conditioning:
        """What stands for no prompt, a row for each row: embeddings of zeros."""
        return replace(conditioning, embeddings=torch.zeros_like(conditioning.embeddings))

    def completed(
        self, conditioning: Conditioning, settings: Mapping[str, Any], timeline: LatentFrames
    ) -> Conditioning:
        """With what else the network reads of a clip: its length, say, and other texts among its settings."""
        return conditioning

    def guidance(self, settings: Mapping[str, Any]) -> Guidance:
        """How the two branches are mixed; a new one for each batch."""
        scale = settings["guidance_scale"]
        return lambda given, null, step: null + scale * (given - null)

    def target(
        self,
        read: Float[torch.Tensor, "levels frames width"],
        latents: Float[torch.Tensor, "frames width"],
        levels: Float[torch.Tensor, " levels"],
    ) -> Float[torch.Tensor, "levels frames width"]:
        """The velocity that leads from what the network read at each level to the final latents."""
        return (read - latents) / levels[:, None, None]

    def canvas(self, timeline: LatentFrames) -> int:
        """Latent frames that the network denoises for a clip; some denoise their longest clip always."""
        return timeline.frames

    def noise(self, timeline: LatentFrames, random: torch.Generator) -> Float[torch.Tensor, "frames width"]:
        """What a clip starts from, the same on every device."""
        return torch.randn(self.canvas(timeline), self.width, generator=random)

    # -- making audio --------------------------------------------------------------------------------------------

    def timeline(self, duration: float | None = None) -> LatentFrames:
        return LatentFrames(self.frames_of(duration), self.frame_rate, self.levels)

    def sampling_settings(self) -> Sequence[Setting]:
        return (
            Setting("guidance_scale", float, self.default_guidance_scale, "Classifier-free guidance; 1 is none."),
            Setting(
                "denoising_steps",
                int,
                self.default_denoising_steps,
                "Steps from noise to a clip.",
                self.levels,
                1000,
            ),
        )

    def generate_many(self, requests: Sequence[Request], *, on_progress: OnProgress | None = None) -> list[Generation]:
        """Clips of one shape are denoised together, as many as memory allows."""
        with torch.no_grad():
            jobs = read_jobs(self, requests)
            records = denoise_in_batches(self, jobs, on_progress)
            made = ((job, records[job.number]) for job in jobs)
            return [self._generation(job, own, self._decoded(own, job.timeline)) for job, own in made]

    def decode(self, generation: Generation) -> Float[torch.Tensor, "channels samples"]:
        assert isinstance(generation.timeline, LatentFrames)
        with torch.no_grad():
            return self._decoded(generation.record, generation.timeline)

    def _decoded(self, record: Mapping[str, torch.Tensor], timeline: LatentFrames) -> torch.Tensor:
        return self.decode_latents(record["latents"].to(self.device), timeline)

    # -- looking at it -------------------------------------------------------------------------------------------

    def forward(
        self, generation: Generation, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> StepOutput:
        conditioning = conditioning or conditioning_of(self, generation)
        said = self._replayed(generation, conditioning, branch)
        rows, velocity = len(conditioning), said.velocity
        if branch == "guided":
            one = self._replayed(generation, _first(conditioning), "unconditional").velocity
            velocity = self.guidance(generation.settings)(velocity, one.repeat(rows, 1, 1), 0)
        read, latents, levels = self._record(generation)
        wanted = self.target(read, latents, levels).repeat(rows, 1, 1)
        error = (velocity - wanted)[:, : generation.frames].square().sum(-1)
        return StepOutput(self._states(generation, said, rows), -0.5 * error.unflatten(0, (rows, -1)))

    def hidden_states(
        self, generation: Generation, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> Float[torch.Tensor, "batch positions dim"]:
        conditioning = conditioning or conditioning_of(self, generation)
        return self._states(generation, self._replayed(generation, conditioning, branch), len(conditioning))

    def ways_in(self, generation: Generation) -> Mapping[str, Conditioning]:
        return {"cross-attention": self.null(conditioning_of(self, generation), generation.settings)}

    def distance(self, clip: Generation, other: Generation) -> Float[torch.Tensor, " frames"]:
        """The root mean square, over a frame, of the difference of final latents."""
        mine, theirs = (each.record["latents"][: clip.frames] for each in (clip, other))
        return (mine - theirs).square().mean(-1).sqrt()

    def predicted(
        self,
        latents: torch.Tensor,
        levels: torch.Tensor,
        conditioning: Conditioning,
        timeline: LatentFrames,
        where: Position,
    ) -> Prediction:
        """`_predict` at a position, where the edits of this call find frames and tokens."""
        with at(where), showing(timeline.frames, conditioning.embeddings.shape[1]), self._lower():
            return self._predict(latents, levels, conditioning, timeline)

    def _replayed(self, generation: Generation, conditioning: Conditioning, branch: Branch) -> Prediction:
        """The network on the record, each level under each row of the conditioning; edits are the prompt's alone."""
        read, _, levels = self._record(generation)
        timeline = generation.timeline
        assert isinstance(timeline, LatentFrames)
        where = Position(levels=len(levels))
        if branch == "unconditional":
            conditioning = self.null(conditioning, generation.settings)
            where = replace(where, conditional_rows=0)
        conditioning = self.completed(conditioning, generation.settings, timeline)
        return self.predicted(read.repeat(len(conditioning), 1, 1), levels, conditioning, timeline, where)

    def _record(self, generation: Generation) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        read, latents, levels = (plain(generation.record[name]) for name in ("trajectory", "latents", "levels"))
        return read.to(self.device), latents.to(self.device), levels.to(self.device)

    @staticmethod
    def _states(generation: Generation, said: Prediction, rows: int) -> Float[torch.Tensor, "rows positions dim"]:
        """The states of a frame at all levels, side by side."""
        by_level = said.hidden[:, : generation.frames].unflatten(0, (rows, -1))
        return by_level.transpose(1, 2).flatten(2)


def _first(conditioning: Conditioning) -> Conditioning:
    return replace(
        conditioning,
        embeddings=conditioning.embeddings[:1],
        mask=conditioning.mask[:1],
        tokens=conditioning.tokens[:1],
        spans=conditioning.spans[:1],
        extras={name: rows[:1] for name, rows in conditioning.extras.items()},
    )
