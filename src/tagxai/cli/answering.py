"""What `tagxai explain` asks about a clip, and the folder that it writes in answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.cli.progress import Stage
from tagxai.cli.show import write_pages
from tagxai.contract import saved_folder
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation, OnProgress
from tagxai.errors import TagxaiError, error_sentence
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation, Interval
from tagxai.explaining.hearing import heard_sentence
from tagxai.explaining.identifying import method_identity
from tagxai.explaining.listening import listen
from tagxai.explaining.saved import load_saved
from tagxai.explaining.together import BatchedExplanations


@dataclass(frozen=True)
class Question:
    """Methods by name, the texts of `--set` that they were made with, intervals, how many clips to compare, and whether
    to draw a heat map."""

    methods: Mapping[str, Method]
    settings: Sequence[str]
    intervals: Sequence[Interval]
    audio_repeats: int
    heatmap: bool = False

    @cached_property
    def batched(self) -> BatchedExplanations:
        """Explanations of a list's clips that are made together."""
        return BatchedExplanations(self.methods)

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides the answer, as JSON can hold it."""
        methods = {name: method_identity(method) for name, method in self.methods.items()}
        return methods, [list(interval) for interval in self.intervals], self.audio_repeats

    def answer(
        self,
        model: Generator,
        clip: Generation,
        folder: Path,
        stage: Stage,
        seconds: float,
        *,
        force: bool = False,
    ) -> Explanation | Comparison:
        """Explain the clip, which took `seconds`, and write the folder, report included: all of it, or nothing."""
        for start, end in self.intervals:
            clip.frame_range(start, end)

        heard = heard_sentence(model, clip)

        def explain_with(name: str) -> Explanation:
            attribution = self._attribute(name, model, clip, stage(f"explaining with {name}"))
            if not self.audio_repeats:
                return Explanation(attribution, self.intervals, heard=heard)
            listening = stage(f"generating audio to compare, by {name}")
            tracks = listen(model, attribution, repeats=self.audio_repeats, on_progress=listening)
            return Explanation(attribution, self.intervals, tracks, heard)

        several = len(self.methods) > 1
        found = Comparison.of(self.methods, explain_with, seconds) if several else explain_with(*self.methods)
        stage("writing the report")
        with (
            storage.claimed(folder, *saved_folder.KINDS, force=force) as target,
            storage.whole_folder(target, saved_folder.earlier) as new,
        ):
            found.write(new)
            write_pages(new, self.heatmap)
        return found

    def answer_in_list(self, model: Generator, clip: Generation, folder: Path, seconds: float) -> None:
        """As `answer`; whatever goes wrong in a method becomes a TagxaiError, so that the list goes on."""
        try:
            found = self.answer(model, clip, folder, _silent, seconds, force=True)  # the list's folder is ours
        except (TagxaiError, OSError):
            raise
        except Exception as error:  # a method may be anyone's plugin
            raise TagxaiError(error_sentence(error)) from error
        if isinstance(found, Comparison) and found.failures:
            raise TagxaiError("; ".join(f"method {name!r} failed: {text}" for name, text in found.failures.items()))

    def _attribute(self, name: str, model: Generator, clip: Generation, on_progress: OnProgress) -> Attribution:
        method = self.methods[name]
        try:
            return self.batched.attribute(name, model, clip, on_progress=on_progress)
        except ValueError as error:
            if not self.settings:
                raise
            given = " ".join(self.settings)  # the likely cause: a method need not check every value
            raise TagxaiError(f"method {method.name!r} cannot work with --set {given}: {error}") from None


REPORT = "report.html"


def is_explained(folder: Path) -> bool:
    """Whether a folder holds a whole answer: files that are as written, and the report."""
    try:
        found = load_saved(folder)
    except (TagxaiError, OSError):
        return False
    return (folder / REPORT).is_file() and not (isinstance(found, Comparison) and found.failures)


def _silent(_: str) -> OnProgress:
    return lambda progress: None
