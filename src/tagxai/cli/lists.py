"""Lists of prompts: jobs that are recognised when they are done, clips made in batches, and an index of what came."""

from __future__ import annotations

import csv
import hashlib
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NamedTuple

import typer
from rich.text import Text

from tagxai import storage
from tagxai.cli import display, options
from tagxai.cli.slugs import slug
from tagxai.contract.generator import Generator
from tagxai.contract.request import Request, check_prompt
from tagxai.contract.values import Conditioning, Generation, OnProgress, Progress
from tagxai.errors import TagxaiError
from tagxai.explaining.making import AT_ONCE, generate_each
from tagxai.explaining.prompts import encode
from tagxai.text.lists import Prompt

INDEX = "index.csv"


@dataclass(frozen=True)
class Job:
    """One clip of a list, and what is made of it. Its name is a hash of all that decides the result, so that what
    exists is recognised: `model` is the identity of the generator, `rest` what else decides it."""

    prompt: Prompt
    seed: int
    duration: float | None
    sampling: Mapping[str, Any]
    model: Mapping[str, Any]
    rest: Sequence[Any] = ()

    @cached_property
    def name(self) -> str:
        content = [self.prompt.text, self.seed, self.duration, sorted(self.sampling.items()), self.model]
        digest = hashlib.sha256(json.dumps([*content, *self.rest], sort_keys=True).encode()).hexdigest()[:16]
        return f"{slug(self.prompt.text)}-{digest}"

    def request(self, conditioning: Conditioning) -> Request:
        return Request(self.prompt.text, self.duration, self.seed, settings=self.sampling, conditioning=conditioning)


class Outcome(NamedTuple):
    """What happened to a job."""

    job: Job
    status: Literal["made", "kept", "failed"]
    error: str = ""


@dataclass(frozen=True)
class Work:
    """How the jobs of a list are done: which are, by which model, and what is made of a clip and the seconds that it
    took; `begin` is given the clips of a batch before that. `check` refuses what does not fit into memory, by the
    longest prompt."""

    is_done: Callable[[Job], bool]
    model: Generator
    check: Callable[[Generator, Conditioning], None]
    finish: Callable[[Generator, Job, Generation, float], None]
    begin: Callable[[Generator, Sequence[Generation]], None] = lambda generator, clips: None

    def run(self, jobs: Sequence[Job], on_progress: OnProgress) -> Iterator[Outcome]:
        """Do what is missing. A job that fails is reported, the others go on."""
        left: list[Job] = []
        repeated: list[Job] = []
        names: set[str] = set()
        kept: set[str] = set()
        for job in jobs:
            try:
                if job.name in names:
                    repeated.append(job)
                    continue
                if job.name in kept or self.is_done(job):
                    kept.add(job.name)
                    yield Outcome(job, "kept")
                    continue
                check_prompt(job.prompt.text)
                names.add(job.name)
                left.append(job)
            except TagxaiError as error:
                yield _failed(job, error)
        if not left:
            return
        generator = self.model
        encoded = lru_cache(maxsize=2 * AT_ONCE)(partial(encode, generator))
        too_long = self._too_long(sorted({job.prompt.text for job in left}, key=len), encoded)
        for job in left:
            if job.prompt.text in too_long:
                yield _failed(job, too_long[job.prompt.text])
        left = [job for job in left if job.prompt.text not in too_long]
        warned: set[Prompt] = set()
        for first in range(0, len(left), AT_ONCE):
            yield from self._batch(generator, left, slice(first, first + AT_ONCE), encoded, warned, on_progress)
        finished: dict[str, bool] = {}
        for job in repeated:  # a line that says what another said
            if job.name not in finished:  # its files are read once, however often it is repeated
                finished[job.name] = self.is_done(job)
            yield Outcome(job, "kept") if finished[job.name] else Outcome(job, "failed", "as an equal line before it")

    def _too_long(self, texts: Sequence[str], encoded: Callable[[str], Conditioning]) -> dict[str, TagxaiError]:
        """Why each prompt that is too long cannot be read, or does not fit into memory; `texts` go by length.

        Raises TagxaiError where not even the shortest fits: then the prompts are not the cause.
        """

        def fault(text: str) -> TagxaiError | None:
            try:
                self.check(self.model, encoded(text))
            except TagxaiError as error:
                return error
            return None

        if fault(texts[-1]) is None:
            return {}
        if (error := fault(texts[0])) is not None and len(texts) > 1:
            raise error
        first = bisect_left(texts, True, key=lambda text: fault(text) is not None)
        return {text: error for text in texts[first:] if (error := fault(text)) is not None}

    def _batch(
        self,
        generator: Generator,
        left: Sequence[Job],
        which: slice,
        encoded: Callable[[str], Conditioning],
        warned: set[Prompt],
        on_progress: OnProgress,
    ) -> Iterator[Outcome]:
        batch: list[tuple[Job, Request]] = []
        for job in left[which]:
            try:
                conditioning = encoded(job.prompt.text)
                if job.prompt not in warned:
                    warned.add(job.prompt)
                    where = f"line {job.prompt.line}: "
                    options.warn_about_prompt(generator, job.prompt.text, conditioning, where)
                batch.append((job, job.request(conditioning)))
            except TagxaiError as error:
                yield _failed(job, error)
        started = perf_counter()

        def generating(progress: Progress) -> None:
            share = progress.done / max(1, progress.total)
            on_progress(Progress(which.start + int(len(batch) * share), len(left), progress.message))

        clips = generate_each(generator, [request for _, request in batch], on_progress=generating) if batch else []
        seconds = (perf_counter() - started) / max(1, len(batch))
        self.begin(generator, [clip for clip in clips if isinstance(clip, Generation)])
        for number, ((job, _), clip) in enumerate(zip(batch, clips, strict=True), which.start + 1):
            try:
                if isinstance(clip, TagxaiError):
                    raise clip
                self.finish(generator, job, clip, seconds)
            except TagxaiError as error:
                yield _failed(job, error)
            else:
                yield Outcome(job, "made")
            on_progress(Progress(number, len(left), job.name))


def _failed(job: Job, error: TagxaiError) -> Outcome:
    display.complain(f"line {job.prompt.line}: {error}")
    return Outcome(job, "failed", str(error))


def run_all(
    jobs: Sequence[Job], work: Work, folder: Path, made: tuple[str, Callable[[Job], str]], on_progress: OnProgress
) -> list[Outcome]:
    """Do all jobs; index.csv, also of a run that is interrupted, says what each became.

    `made` is the title of its column, and what a job is called there.
    """
    outcomes: list[Outcome] = []
    if not (folder / INDEX).exists():
        _write_index(folder, made, [])  # from now on the folder says whose it is
    try:
        for outcome in work.run(jobs, on_progress):
            outcomes.append(outcome)
    finally:
        if outcomes:
            order = {id(job): number for number, job in enumerate(jobs)}
            _write_index(folder, made, sorted(outcomes, key=lambda outcome: order[id(outcome.job)]))
    return outcomes


def print_summary(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Print how many jobs were made, kept and failed. Raises typer.Exit where any failed."""
    count = Counter(outcome.status for outcome in outcomes)
    summary = f"made {count['made']}, already there {count['kept']}, failed {count['failed']}: {folder / INDEX}"
    display.out().print(Text(summary), soft_wrap=True)
    if count["failed"]:
        raise typer.Exit(1)


def _write_index(folder: Path, made: tuple[str, Callable[[Job], str]], outcomes: Sequence[Outcome]) -> None:
    title, name = made
    with (
        storage.whole_file(folder / INDEX) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["line", "prompt", "seed", title, "error"])
        for job, status, error in outcomes:
            writer.writerow(
                [job.prompt.line, job.prompt.text, job.seed, "" if status == "failed" else name(job), error]
            )
