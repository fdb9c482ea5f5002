"""Several methods on one clip: how far their explanations agree, and what each of them cost.

A comparison's folder holds `comparison.json` and a whole explanation for each method, in a folder of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagxai import storage
from tagxai.contract import saved_folder
from tagxai.contract.attribution import Attribution
from tagxai.contract.cost import Cost
from tagxai.contract.foreign import is_built_in
from tagxai.contract.saved_folder import COMPARISON
from tagxai.contract.showing import drawing
from tagxai.contract.values import Generation
from tagxai.errors import DamagedFileError, TagxaiError, error_sentence
from tagxai.explaining.explanation import Explanation
from tagxai.lazy import torch
from tagxai.metrics.families.rank_correlation import rank_correlation
from tagxai.text.words import Unit

SCHEMA_VERSION = 2
"""The version of comparisons. 1, which is still read, names folders otherwise and has no checksums of explanations."""

Matrix = tuple[tuple[float | None, ...], ...]
"""A value for each pair of methods, in order; None where there is none."""

if TYPE_CHECKING:
    Whole = Explanation
else:
    Whole = Explanation | Attribution  # the constructor also takes bare attributions, and keeps whole explanations


@dataclass(frozen=True, eq=False)
class Comparison:
    """Explanations of one clip by method, in the requested order, and a sentence for each method that failed.

    `folders` holds the folder of each method's explanation where the comparison was loaded from one.
    """

    explanations: Mapping[str, Whole]
    failures: Mapping[str, str] = field(default_factory=dict)
    generation_seconds: float | None = None
    folders: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole = {  # a bare explanation is one without intervals and audio
            name: Explanation(each) if isinstance(each, Attribution) else each
            for name, each in self.explanations.items()
        }
        object.__setattr__(self, "explanations", whole)
        if not self.explanations:
            raise TagxaiError("; ".join(self.failures.values()) or "a comparison needs at least one explanation")
        clips = [explanation.attribution.generation for explanation in self.explanations.values()]
        if not all(clip.sounds_as(clips[0]) for clip in clips):
            raise TagxaiError("the explanations are of different clips; compare methods on one clip")

    @classmethod
    def of(
        cls, methods: Iterable[str], explain_with: Callable[[str], Explanation], generation_seconds: float | None = None
    ) -> Comparison:
        """The explanations of all methods that give one; a method that fails does not end the others.

        Methods by name are run in an order of their own: what one from outside may leave behind, and cannot be put
        back, comes after tagxai's own.
        """
        names = list(methods)
        made: Mapping[str, Any] = methods if isinstance(methods, Mapping) else {}
        explanations: dict[str, Explanation] = {}
        failures: dict[str, str] = {}
        for name in sorted(names, key=lambda name: name in made and not is_built_in(type(made[name]))):
            try:
                explanation = explain_with(name)
                explanation.attribution.check_savable()
                explanations[name] = explanation
            except Exception as error:  # a method may be anyone's plugin
                failures[name] = error_sentence(error).removeprefix(f"method {name!r} failed: ")
        in_order = {name: explanations[name] for name in names if name in explanations}
        return cls(in_order, {name: failures[name] for name in names if name in failures}, generation_seconds)

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

    def _repr_html_(self) -> str:
        return drawing().notebook_html(self)

    def folder(self, method: str) -> str:
        """The name of the folder that holds a method's explanation."""
        return self.folders.get(method) or method_folder(method)

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write everything into `folder`, with a folder for each method, in place of an earlier result: all, or none.

        Raises TagxaiError and OSError as `Explanation.save` does.
        """
        with (
            storage.claimed(folder, *saved_folder.KINDS, force=force) as target,
            storage.whole_folder(target, saved_folder.earlier) as new,
        ):
            self.write(new)
        return target

    def write(self, new: Path) -> None:
        """Write the files of `save` into an empty folder, and verify them."""
        folders = {method: method_folder(method) for method in self.explanations}
        for method, explanation in self.explanations.items():
            (new / folders[method]).mkdir()
            explanation.write(new / folders[method])
        content: dict[str, Any] = {
            "schema": "tagxai.comparison",
            "schema_version": SCHEMA_VERSION,
            "prompt": self.generation.prompt,
            "methods": folders,
            "explanations": {
                method: storage.sha256(new / name / saved_folder.EXPLANATION) for method, name in folders.items()
            },
            "failures": dict(self.failures),
            "generation_seconds": self.generation_seconds,
            "rank_correlation": {"words": self.word_agreement(), "words_by_frames": self.map_agreement()},
        }
        storage.check_json("the comparison", content)
        content["sha256"] = storage.json_sha256(content)
        storage.write_json(new / COMPARISON, content)

    @classmethod
    def load(cls, folder: str | Path) -> Comparison:
        """Read what `save` wrote. Raises DamagedFileError."""
        with storage.reading(Path(folder)):
            return cls._read(Path(folder))

    @classmethod
    def _read(cls, source: Path) -> Comparison:
        content = storage.read_json(source / COMPARISON)
        if content.get("schema") != "tagxai.comparison" or content.get("schema_version") not in (1, SCHEMA_VERSION):
            raise DamagedFileError(f"{source / COMPARISON} is not a tagxai comparison of version 1 or {SCHEMA_VERSION}")
        digest = content.pop("sha256", None)
        if storage.json_sha256(content) != digest:
            raise DamagedFileError(f"{source / COMPARISON} is damaged: it was changed after it was written")
        try:
            explanations = {}
            for method, name in content["methods"].items():
                if not saved_folder.is_plain(name) or list(content["methods"].values()).count(name) > 1:
                    raise ValueError(f"{name!r} is not the folder of method {method!r} alone")
                explanations[method] = Explanation.load(source / name)
                _check_holds(source / name, method, explanations[method], content.get("explanations"))
            return cls(explanations, content["failures"], content["generation_seconds"], content["methods"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DamagedFileError(f"{source / COMPARISON} is damaged: {error}") from None


def _check_holds(folder: Path, method: str, found: Explanation, digests: Mapping[str, str] | None) -> None:
    """Raises DamagedFileError where a folder holds another explanation than the one that was saved there."""
    if digests is None:  # of version 1: only what the explanation says of itself
        wrong = found.attribution.method != method
    else:
        wrong = storage.sha256(folder / saved_folder.EXPLANATION) != digests[method]
    if wrong:
        raise DamagedFileError(
            f"{folder} holds another explanation, by {found.attribution.method!r}, than the one by {method!r} that "
            "was saved there: it was exchanged or written again"
        )


def method_folder(method: str) -> str:
    """The folder of a method's explanation, which no other method has, also where file systems ignore case: its name
    if that is lower-case letters, digits and underscores, else something like it with digits of its checksum."""
    if re.fullmatch(r"[a-z0-9_]{1,48}", method) and method != "scores":  # which `tagxai ask` writes
        return method
    like = re.sub(r"[^A-Za-z0-9_]+", "-", method).strip("-")[:48]
    return f"{like or 'method'}-{hashlib.sha256(method.encode()).hexdigest()[:8]}"


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
