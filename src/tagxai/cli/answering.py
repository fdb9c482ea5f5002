"""What `tagxai explain` asks about a clip, and the folder that it writes in answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.cli import saved
from tagxai.cli.progress import Stage
from tagxai.cli.show import write_pictures
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError, error_sentence
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation, Interval
from tagxai.explaining.listening import listen


@dataclass(frozen=True)
class Question:
    """Methods by name, the texts of `--set` that they were made with, intervals, and how many clips to compare."""

    methods: Mapping[str, Method]
    settings: Sequence[str]
    intervals: Sequence[Interval]
    audio_repeats: int

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides the answer, as JSON can hold it."""
        methods = {name: method.settings() for name, method in self.methods.items()}
        return methods, [list(interval) for interval in self.intervals], self.audio_repeats

    def answer(
        self, model: Generator, clip: Generation, folder: Path, stage: Stage, seconds: float
    ) -> Explanation | Comparison:
        """Explain the clip, which took `seconds`, and write the folder. The report comes last."""
        for start, end in self.intervals:
            clip.frame_range(start, end)

        def explain_with(name: str) -> Explanation:
            attribution = self._attribute(name, model, clip, stage(f"explaining with {name}"))
            if not self.audio_repeats:
                return Explanation(attribution, self.intervals)
            listening = stage(f"generating audio to compare, by {name}")
            tracks = listen(model, attribution, repeats=self.audio_repeats, on_progress=listening)
            return Explanation(attribution, self.intervals, tracks)

        several = len(self.methods) > 1
        found = Comparison.of(self.methods, explain_with, seconds) if several else explain_with(*self.methods)
        stage("writing the report")
        found.save(folder)
        write_pictures(folder)
        return found

    def answer_in_list(self, model: Generator, clip: Generation, folder: Path, seconds: float) -> None:
        """As `answer`; whatever goes wrong in a method becomes a TagxaiError, so that the list goes on."""
        with storage.new_folder(folder):
            (folder / REPORT).unlink(missing_ok=True)
            try:
                found = self.answer(model, clip, folder, _silent, seconds)
            except (TagxaiError, OSError):
                raise
            except Exception as error:  # a method may be anyone's plugin
                raise TagxaiError(error_sentence(error)) from error
        if isinstance(found, Comparison) and found.failures:
            raise TagxaiError("; ".join(f"method {name!r} failed: {text}" for name, text in found.failures.items()))

    def _attribute(self, name: str, model: Generator, clip: Generation, on_progress: OnProgress) -> Attribution:
        method = self.methods[name]
        try:
            return method.attribute(model, clip, on_progress=on_progress)
        except ValueError as error:
            if not self.settings:
                raise
            given = " ".join(self.settings)  # the likely cause: a method need not check every value
            raise TagxaiError(f"method {method.name!r} cannot work with --set {given}: {error}") from None


REPORT = "report.html"


def is_explained(folder: Path) -> bool:
    """Whether a folder holds a whole answer: its report, which is written last, and files that are as written."""
    if not (folder / REPORT).is_file():
        return False
    try:
        found = saved.load(folder)
    except (TagxaiError, OSError):
        return False
    return not (isinstance(found, Comparison) and found.failures)


def _silent(_: str) -> OnProgress:
    return lambda progress: None
