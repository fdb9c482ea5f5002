"""Lessons: what a network may read of a clip, and a teacher's scores for it; each in a file of its own, made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tagxai import storage
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import DamagedFileError
from tagxai.explaining.attributing import attribute
from tagxai.explaining.identifying import model_identity
from tagxai.lazy import Float, torch
from tagxai.methods.amortised.network import Batch, Seen, look

FOLDER = "lessons"


@dataclass(frozen=True)
class Course:
    """Which clips a generator makes, and which method teaches."""

    teacher: Method
    prompts: Sequence[str]
    duration: float | None = None
    seed: int = 0
    """The seed of the first prompt's clip; the next has the next seed."""

    def names(self, generator: Generator) -> list[str]:
        """A name for each lesson: a hash of all that decides it."""
        rest = [self.duration, self.teacher.name, self.teacher.settings(), model_identity(generator)]
        content = [[prompt, self.seed + number, *rest] for number, prompt in enumerate(self.prompts)]
        texts = [json.dumps(each, sort_keys=True, default=str) for each in content]
        return [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]


class Lesson(NamedTuple):
    """A clip as the network reads it, and the mean of the teacher's scores over streams."""

    seen: Seen
    scores: Float[torch.Tensor, "frames tokens"]


def lessons(generator: Generator, course: Course, folder: Path, on_progress: OnProgress | None = None) -> list[Lesson]:
    """The lessons of a course, of which those that `folder` holds are not made again."""
    files = [folder / FOLDER / f"{name}.safetensors" for name in course.names(generator)]
    (folder / FOLDER).mkdir(exist_ok=True)
    found = []
    for number, (prompt, file) in enumerate(zip(course.prompts, files, strict=True)):
        lesson = _kept(file)
        if lesson is None:
            lesson = teach(generator, course.teacher, prompt, course.duration, course.seed + number)
            storage.write_tensors(file, _to_tensors(lesson))
        found.append(lesson)
        if on_progress is not None:
            on_progress(Progress(number + 1, len(files), "lessons"))
    return found


def teach(generator: Generator, teacher: Method, prompt: str, duration: float | None, seed: int) -> Lesson:
    """A new lesson."""
    clip = generator.generate(prompt, duration=duration, seed=seed)
    scores = attribute(teacher, generator, clip).scores
    with Run.opened(generator, clip, None) as run:
        seen = look(run, attention="attention" in generator.offers)
    read = None if seen.attention is None else seen.attention.cpu()
    return Lesson(Seen(seen.hidden.cpu(), seen.embeddings.cpu(), read), scores.mean(0))


def batch_of(chosen: Sequence[Lesson]) -> tuple[Batch, Float[torch.Tensor, "batch frames tokens"]]:
    """Lessons of clips of one length side by side, and their scores; shorter prompts are padded."""
    from torch.nn.utils.rnn import pad_sequence

    def padded(parts: list[torch.Tensor]) -> torch.Tensor:
        return pad_sequence(parts, batch_first=True)

    seen = [each.seen for each in chosen]
    attention = [each.attention.movedim(1, 0) for each in seen if each.attention is not None]
    return (
        Batch(
            torch.stack([each.hidden for each in seen]),
            padded([each.embeddings for each in seen]),
            padded(attention).movedim(1, 2) if attention else None,
            padded([torch.ones(len(each.embeddings), dtype=torch.bool) for each in seen]),
        ),
        padded([each.scores.T for each in chosen]).movedim(1, -1),
    )


def _to_tensors(lesson: Lesson) -> dict[str, torch.Tensor]:
    tensors: dict[str, Any] = {**lesson.seen._asdict(), "scores": lesson.scores}
    return {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}


def _kept(file: Path) -> Lesson | None:
    """The lesson in a file; None if it is missing or damaged."""
    try:
        tensors = storage.read_tensors(file)
        return Lesson(Seen(tensors["hidden"], tensors["embeddings"], tensors.get("attention")), tensors["scores"])
    except (FileNotFoundError, DamagedFileError, KeyError):
        return None
