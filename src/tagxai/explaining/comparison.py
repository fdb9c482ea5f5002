"""Several methods on one clip: how far their explanations agree, and what each of them cost.

A comparison's folder holds `comparison.json` and a whole explanation for each method, in a folder of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.contract.attribution import Attribution
from tagxai.contract.cost import Cost
from tagxai.contract.values import Generation
from tagxai.errors import DamagedFileError, TagxaiError, error_sentence
from tagxai.explaining.explanation import Explanation
from tagxai.lazy import torch
from tagxai.metrics.families.rank_correlation import rank_correlation
from tagxai.text.words import Unit

COMPARISON = "comparison.json"
SCHEMA_VERSION = 1

Matrix = tuple[tuple[float | None, ...], ...]
"""A value for each pair of methods, in order; None where there is none."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Explanations of one clip by method, in the requested order, and a sentence for each method that failed."""

    explanations: Mapping[str, Explanation]
    failures: Mapping[str, str] = field(default_factory=dict)
    generation_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.explanations:
            raise TagxaiError("; ".join(self.failures.values()) or "a comparison needs at least one explanation")
        clips = [explanation.attribution.generation for explanation in self.explanations.values()]
        if not all(clip.sounds_as(clips[0]) for clip in clips):
            raise TagxaiError("the explanations are of different clips; compare methods on one clip")

    @classmethod
    def of(
        cls, methods: Iterable[str], explain_with: Callable[[str], Explanation], generation_seconds: float | None = None
    ) -> Comparison:
        """The explanations of all methods that give one; a method that fails does not end the others."""
        explanations, failures = {}, {}
        for name in methods:
            try:
                explanations[name] = explain_with(name)
            except Exception as error:  # a method may be anyone's plugin
                failures[name] = error_sentence(error)
        return cls(explanations, failures, generation_seconds)

    @property
    def generation(self) -> Generation:
        return next(iter(self.explanations.values())).attribution.generation

    def generation_words(self) -> tuple[Unit, ...]:
        return next(iter(self.explanations.values())).attribution.words()

    @property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        return tuple(next(iter(self.explanations.values())).intervals)

    def word_agreement(self) -> Matrix:
        """Spearman's rank correlation of the words' scores over the whole clip, for each pair of methods."""
        return self._agreement(lambda attribution: torch.tensor([s.score for s in attribution.per_word()]))

    def map_agreement(self) -> Matrix:
        """Spearman's rank correlation of the scores of all words at all frames, for each pair of methods."""
        return self._agreement(lambda attribution: attribution.over_time(attribution.words()))

    def _agreement(self, view: Callable[[Attribution], torch.Tensor]) -> Matrix:
        views = [view(explanation.attribution).flatten() for explanation in self.explanations.values()]
        found = [[rank_correlation(a, b) for b in views] for a in views]
        return tuple(tuple(None if value is None else round(value, 6) for value in row) for row in found)

    def save(self, folder: str | Path) -> Path:
        """Write everything into `folder`, with a folder for each method; `comparison.json` comes last."""
        target = storage.output_folder(folder)
        for earlier in (COMPARISON, "explanation.json"):
            (target / earlier).unlink(missing_ok=True)
        for method, explanation in self.explanations.items():
            explanation.save(target / method_folder(method))
        content: dict[str, Any] = {
            "schema": "tagxai.comparison",
            "schema_version": SCHEMA_VERSION,
            "prompt": self.generation.prompt,
            "methods": {method: method_folder(method) for method in self.explanations},
            "failures": dict(self.failures),
            "generation_seconds": self.generation_seconds,
            "rank_correlation": {"words": self.word_agreement(), "words_by_frames": self.map_agreement()},
        }
        content["sha256"] = storage.json_sha256(content)
        storage.write_json(target / COMPARISON, content)
        return target

    @classmethod
    def load(cls, folder: str | Path) -> Comparison:
        """Read what `save` wrote. Raises DamagedFileError."""
        source = Path(folder)
        content = storage.read_json(source / COMPARISON)
        if content.get("schema") != "tagxai.comparison" or content.get("schema_version") != SCHEMA_VERSION:
            raise DamagedFileError(f"{source / COMPARISON} is not a tagxai comparison of version {SCHEMA_VERSION}")
        digest = content.pop("sha256", None)
        if storage.json_sha256(content) != digest:
            raise DamagedFileError(f"{source / COMPARISON} is damaged: it was changed after it was written")
        try:
            explanations = {}
            for method, name in content["methods"].items():
                if name != method_folder(method):
                    raise ValueError(f"{name!r} is not the folder of method {method!r}")
                explanations[method] = Explanation.load(source / name)
            return cls(explanations, content["failures"], content["generation_seconds"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DamagedFileError(f"{source / COMPARISON} is damaged: {error}") from None


def method_folder(method: str) -> str:
    """The folder of a method's explanation: its name, with dashes for characters that file systems do not like."""
    return re.sub(r"[^\w-]+", "-", method).strip("-") or "method"


def passes_in_words(cost: Cost) -> str:
    """The passes of the model that a method's cost counts: "12 forward, 2 epochs"."""
    counted = cost.to_json()
    known = {
        "forward_passes": "forward",
        "forward_mode_passes": "forward-mode",
        "backward_passes": "backward",
        "layer_passes": "of one layer",
        "clips": "clips",
        "epochs": "epochs",
    }
    return ", ".join(f"{counted[key]:g} {text}" for key, text in known.items() if counted.get(key)) or "none"
