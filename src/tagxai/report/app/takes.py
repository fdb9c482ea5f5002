"""A take: what came of one wish, as the visitor's history, the page and the export show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tagxai.contract.values import Generation
from tagxai.explaining.editing import Edit
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.kept_answers import Answer
from tagxai.report.app.models import Model
from tagxai.report.content import Content, Sound, content_of
from tagxai.text import words
from tagxai.text.printable import printable
from tagxai.text.stretches import stretches
from tagxai.text.words import Unit

OF_ORIGINAL = "This, the colours and the scores are about the original."


@dataclass(frozen=True, eq=False)
class Contrast:
    """What another prompt makes with the same seed, and how much better the take's own prompt fits its own clip."""

    clip: Generation
    answer: Answer


@dataclass(frozen=True, eq=False)
class Take:
    """An explained clip, perhaps with a contrast, perhaps edited by gains; `origin` is the take that was edited.

    `warnings` say what the model could not read in the prompt.
    """

    id: str
    model: Model
    explanation: Explanation
    contrast: Contrast | None = None
    edit: Edit | None = None
    origin: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def clip(self) -> Generation:
        """The clip that is explained."""
        return self.explanation.attribution.generation

    @property
    def sounding(self) -> Generation:
        """The clip that is new in this take."""
        return self.edit.takes[0].edited if self.edit else self.clip

    @cached_property
    def words(self) -> tuple[Unit, ...]:
        return words.words(self.clip.prompt, self.clip.spans, self.clip.tokens)

    @property
    def gains(self) -> list[float]:
        """A factor for each word."""
        factors = self.edit.token_gains if self.edit else (1.0,) * len(self.clip.tokens)
        return [factors[word.tokens[0]] for word in self.words]

    def summary(self, number: int) -> dict[str, Any]:
        """What the rail shows of it."""
        clip, changed = self.clip, self.edit.gains if self.edit else {}
        return {
            "id": self.id,
            "number": number,
            "prompt": clip.prompt,
            "shown": printable(clip.prompt),
            "generator": self.model.label,
            "method": self.explanation.attribution.method,
            "seconds": clip.duration,
            "seed": clip.seed,
            "contrast": self.contrast.clip.prompt if self.contrast else "",
            "edited": ", ".join(f"{printable(text)} ×{gain:g}" for text, gain in changed.items()),
            "origin": self.origin or self.id,
            "warnings": [printable(text) for text in self.warnings],
            "words": [printable(word.text) for word in self.words],
            "gains": self.gains,
            "phrases": [self._phrase(each) for each in stretches(clip.prompt, self.words)],
            "edits": "attention" in self.model.generator.offers,
        }

    def _phrase(self, numbers: Sequence[int]) -> dict[str, Any]:
        members = [self.words[number] for number in numbers]
        text = self.clip.prompt[members[0].start : members[-1].end]
        return {"text": printable(text), "words": list(numbers)}

    def content(self) -> Content:
        """The page: the explanation, with what was edited or contrasted right after the original."""
        content = content_of(self.explanation)
        if self.edit:
            edited = content_of(self.edit)
            sounds = [*edited.sounds, *content.sounds[1:]]
            content = replace(
                content,
                sounds=[replace(sounds[0], title="Original"), *sounds[1:]],
                heading=edited.heading,
                heard=f"{content.heard}. {OF_ORIGINAL}",
                gains=edited.gains,
                details=edited.details,
            )
        if self.contrast:
            new = self.contrast.clip
            text = f"What {new.generator} makes with the same seed from: {printable(new.prompt)}"
            sound = Sound("Contrast", text, "contrast", new.waveform, new.sample_rate)
            content = replace(
                content,
                sounds=[content.sounds[0], sound, *content.sounds[1:]],
                answers=[*content.answers, self.contrast.answer],
            )
        return content


def beside(a: Take, b: Take, numbers: tuple[int, int]) -> Content:
    """Two takes under one cursor: the explanation of the first, and the sound of both."""
    content = content_of(a.explanation)
    sounds = []
    for letter, number, take in zip("AB", numbers, (a, b), strict=True):
        clip, what = take.sounding, ", edited" if take.edit else ""
        text = f"Take {number}{what}: {printable(clip.prompt)}, {clip.generator}, seed {clip.seed}"
        sounds.append(Sound(f"{letter}: take {number}", text, f"take-{number}", clip.waveform, clip.sample_rate))
    attributions = dict(content.attributions)
    other = b.explanation.attribution
    if other.generation.sounds_as(a.clip):
        attributions.setdefault(other.method, other)
    return replace(
        content,
        attributions=attributions,
        sounds=sounds,
        heading=f"Take {numbers[0]} beside take {numbers[1]}",
        gains=a.edit.token_gains if a.edit else None,
    )
