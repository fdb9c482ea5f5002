"""Sampling many clips in one stream: prompts, gates, seeds, branches and lengths may all differ.

Rows of the stream are sorted into parts of one prompt length, gated or not, whose attention to the text runs apart. So
no row sees padding, and no row without a gate leaves the model's fused attention. All else of the model works row by
row, and a clip comes out as it would alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from tagxai.contract.attention import Part, Position, at
from tagxai.contract.finite import FiniteSteps
from tagxai.contract.timeline import DelayPattern
from tagxai.generators.codes.sampling import draw
from tagxai.generators.jobs import Job, gates
from tagxai.lazy import Float, Int, torch
from tagxai.probing.edits import Gate

if TYPE_CHECKING:
    from tagxai.generators.codes.delay_pattern import DelayPatternGenerator


CodeJob: TypeAlias = "Job[DelayPattern]"


def _how(job: CodeJob) -> tuple[int, float]:
    """Jobs that are sampled alike are drawn together."""
    return job.settings["top_k"], job.settings["temperature"]


class Stream:
    """The rows of several jobs: in each part first the conditional rows, then those of the null condition."""

    def __init__(self, model: DelayPatternGenerator, jobs: Sequence[CodeJob], least_rows: int) -> None:
        self.model, self.jobs = model, sorted(jobs, key=lambda job: job.kind)
        self.given: list[int | None] = [None] * len(jobs)  # of each job, the row that reads the prompt ...
        self.null: list[int | None] = [None] * len(jobs)  # ... and that of the null condition
        self.owners: list[int] = []  # the job of each row
        self._indices: dict[tuple[int, ...], torch.Tensor] = {}
        rows: list[torch.Tensor] = []
        parts: list[Part] = []
        for (tokens, is_gated), group in groupby(enumerate(self.jobs), key=lambda each: each[1].kind):
            first, mine = len(rows), list(group)
            for i, job in mine:
                if job.request.branch != "unconditional":
                    self.given[i] = self._add(rows, i, job.conditioning.embeddings)
            conditional = len(rows) - first
            for i, job in mine:
                if job.request.branch != "conditional":
                    self.null[i] = self._add(rows, i, model._null(job.conditioning.embeddings))
            if len(parts) + 1 == len({job.kind for job in self.jobs}):
                while len(rows) < least_rows:  # idle
                    self._add(rows, mine[0][0], model._null(mine[0][1].conditioning.embeddings))
            gate = Gate(gates([job for _, job in mine], self.steps)) if is_gated else None
            parts.append(Part(slice(first, len(rows)), tokens, conditional, gate))
        self.parts = tuple(parts)
        longest = max(row.shape[1] for row in rows)
        self.embeddings = torch.cat([torch.nn.functional.pad(row, (0, 0, 0, longest - row.shape[1])) for row in rows])

    def _add(self, rows: list[torch.Tensor], job: int, embeddings: torch.Tensor) -> int:
        rows.append(embeddings)
        self.owners.append(job)
        return len(rows) - 1

    @property
    def steps(self) -> int:
        """Those of the longest clip; a shorter one is idle at the end."""
        return max(job.timeline.positions for job in self.jobs)

    def _position(self, step: int) -> Position:
        if len(self.parts) > 1:
            return Position(step, parts=self.parts)
        (part,) = self.parts
        return Position(step, part.conditional_rows, part.edit)

    def _watched(self) -> AbstractContextManager[Any]:
        stack = ExitStack()
        if len(self.parts) > 1 or self.parts[0].edit is not None:
            for site in self.model.cross_attention():
                stack.enter_context(site.watched())
        return stack

    def sample(self, on_step: Callable[[int], None]) -> dict[int, Int[torch.Tensor, "codebooks frames"]]:
        """Codes by the number of their job. `on_step` is given how many clips each step was a step of."""
        model, device = self.model, self.embeddings.device
        delays = torch.tensor(model.delays, device=device)
        frames = torch.tensor([job.timeline.frames for job in self.jobs], device=device)[:, None]
        randoms = [torch.Generator(device=device).manual_seed(job.request.seed) for job in self.jobs]
        columns = torch.full((len(self.jobs), model.codebooks, self.steps + 1), model.pad, device=device)
        given = self._given(device)
        owners, mixing = torch.tensor(self.owners, device=device), _Mixing(self, device)
        finite = FiniteSteps(model, "logits")
        with self._watched(), model._streaming(self.embeddings) as states:
            for step in range(self.steps):
                with at(self._position(step)), model._lower():
                    hidden = states(columns[:, :, step : step + 1].index_select(0, owners))
                logits = torch.stack([head(hidden[:, 0]) for head in model._heads], dim=1).float()
                mixed = mixing(logits)
                finite.see(mixed, step)
                drawn = self._draw(mixed, randoms, step)
                drawn = torch.where(given[:, :, step] >= 0, given[:, :, step], drawn)
                frame = step - delays
                columns[:, :, step + 1] = torch.where((frame >= 0) & (frame < frames), drawn, model.pad)
                on_step(sum(step < job.timeline.positions for job in self.jobs))
        finite.check()
        return {
            job.number: torch.stack([own[q, 1 + d : 1 + d + job.timeline.frames] for q, d in enumerate(model.delays)])
            for job, own in zip(self.jobs, columns, strict=True)
        }

    def _given(self, device: torch.device) -> Int[torch.Tensor, "jobs codebooks steps"]:
        """Codes of the sounds that clips continue, at the steps that would draw them; -1 elsewhere.

        A step draws all the same, so that a clip which continues its own beginning is itself.
        """
        given = torch.full((len(self.jobs), self.model.codebooks, self.steps), -1, device=device)
        for i, job in enumerate(self.jobs):
            if (beginning := job.request.beginning) is not None:
                codes = beginning.record["codes"][:, : beginning.frames].to(device)
                for q, delay in enumerate(self.model.delays):
                    given[i, q, delay : delay + beginning.frames] = codes[q]
        return given

    def _draw(
        self, logits: Float[torch.Tensor, "jobs codebooks vocabulary"], randoms: Sequence[torch.Generator], step: int
    ) -> Int[torch.Tensor, "jobs codebooks"]:
        alike: dict[tuple[int, float], list[int]] = {}
        for i, job in enumerate(self.jobs):
            if step < job.timeline.positions:
                alike.setdefault(_how(job), []).append(i)
        drawn = logits.new_full(logits.shape[:2], self.model.pad, dtype=torch.long)
        for how, mine in alike.items():
            places = self._places(tuple(mine), logits.device)
            drawn[places] = draw(logits[places], *how, [randoms[i] for i in mine])
        return drawn

    def _places(self, jobs: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """The jobs as an index that is on the device already: the host would wait for a copy at every step."""
        if jobs not in self._indices:
            self._indices[jobs] = torch.tensor(jobs, device=device)
        return self._indices[jobs]


class _Mixing:
    """Logits of rows to logits of jobs: classifier-free guidance where a job has both rows."""

    def __init__(self, stream: Stream, device: torch.device) -> None:
        pairs = list(zip(stream.given, stream.null, strict=True))
        present = [given if null is None else null for given, null in pairs]
        self.given = torch.tensor([p if given is None else given for (given, _), p in zip(pairs, present, strict=True)])
        self.null = torch.tensor(present)
        self.given, self.null = self.given.to(device), self.null.to(device)
        scales = [job.settings["guidance_scale"] for job in stream.jobs]
        self.scale = torch.tensor(scales, dtype=torch.float64, device=device)[:, None, None].float()
        guided = [job.request.branch == "guided" for job in stream.jobs]
        self.guided = torch.tensor(guided, device=device)[:, None, None]

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        given, null = logits[self.given], logits[self.null]
        return torch.where(self.guided, null + self.scale * (given - null), given)
