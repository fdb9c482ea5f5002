"""The answer: how much each text token contributed to each audio code, and views of it in words and seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tagxai import storage
from tagxai.contract import exporting, generation_json, saved_folder
from tagxai.contract.cost import Cost
from tagxai.contract.difference import check_subtractable
from tagxai.contract.showing import drawing
from tagxai.contract.values import Generation
from tagxai.contract.word_access import AskedForWords
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.lazy import Float, torch
from tagxai.text import words
from tagxai.text.words import By, Unit

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


class Score(NamedTuple):
    """A token, word or phrase and its score."""

    text: str
    score: float
    unit: Unit


@dataclass(frozen=True, eq=False)
class Attribution(AskedForWords):
    """`scores[streams, frames, tokens]` of one generation; one stream where a method does not resolve them.

    `is_mask` says that the scores are gates in [0, 1] as they stand. `merge` says how the tokens of one word join: the
    mean for masks, the sum for scores that add up. `method` is a registered name and `settings` its hyper-parameters;
    `cost` holds seconds and passes, `diagnostics` whatever else the method reports (a loss curve, say). `deviation` is
    the standard deviation of each score where a method gives the mean over several seeds.
    """

    generation: Generation
    scores: Float[torch.Tensor, "streams frames tokens"]
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_mask: bool = False
    merge: Literal["mean", "sum"] = "sum"
    cost: Cost = field(default_factory=Cost)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=lambda: installed_versions())
    deviation: Float[torch.Tensor, "streams frames tokens"] | None = None

    def __post_init__(self) -> None:
        clip = self.generation
        expected = (clip.frames, len(clip.tokens))
        if self.scores.ndim != 3 or self.scores.shape[0] not in (1, clip.streams) or self.scores.shape[1:] != expected:
            raise ValueError(
                f"scores of shape {tuple(self.scores.shape)} do not fit a generation of {clip.streams} streams, "
                f"{clip.frames} frames and {len(clip.tokens)} tokens"
            )
        if not torch.isfinite(self.scores).all():
            raise ValueError("scores hold NaN or infinity")
        if self.deviation is not None and self.deviation.shape != self.scores.shape:
            raise ValueError(
                f"a deviation of shape {tuple(self.deviation.shape)} does not fit scores of shape "
                f"{tuple(self.scores.shape)}"
            )

    # -- views ---------------------------------------------------------------------------------------------------

    def tokens(self) -> tuple[Unit, ...]:
        return words.tokens(*self._text)

    def words(self) -> tuple[Unit, ...]:
        return words.words(*self._text)

    def phrases(self) -> tuple[Unit, ...]:
        return words.phrases(*self._text)

    def over_time(self, units: Sequence[Unit]) -> Float[torch.Tensor, "units frames"]:
        """The score of each unit at each frame, averaged over streams; tokens of a unit join as `merge` says."""
        return self._merged(self.scores, units)

    def deviation_over_time(self, units: Sequence[Unit]) -> Float[torch.Tensor, "units frames"] | None:
        """At most the standard deviation over seeds of `over_time`: as if a unit's scores rose and fell together."""
        return None if self.deviation is None else self._merged(self.deviation, units)

    def _merged(self, values: torch.Tensor, units: Sequence[Unit]) -> Float[torch.Tensor, "units frames"]:
        frames = values.mean(0)
        merged = [frames[:, list(unit.tokens)] for unit in units]
        return torch.stack([part.sum(1) if self.merge == "sum" else part.mean(1) for part in merged])

    def per_unit(
        self, units: Sequence[Unit], start: float | None = None, end: float | None = None
    ) -> tuple[Score, ...]:
        """The mean over the frames of [start, end) seconds (the whole clip by default), a score for each unit."""
        frames = self.generation.frame_range(start, end)
        scores = self.over_time(units)[:, frames.start : frames.stop].mean(1).tolist()
        return tuple(Score(unit.text, score, unit) for unit, score in zip(units, scores, strict=True))

    def per_token(self, start: float | None = None, end: float | None = None) -> tuple[Score, ...]:
        return self.per_unit(self.tokens(), start, end)

    def per_word(self, start: float | None = None, end: float | None = None) -> tuple[Score, ...]:
        return self.per_unit(self.words(), start, end)

    def per_phrase(self, start: float | None = None, end: float | None = None) -> tuple[Score, ...]:
        return self.per_unit(self.phrases(), start, end)

    def to_positions(self) -> Float[torch.Tensor, "positions tokens"]:
        """The scores at the decoder's own positions: the mean over the outcomes that each position predicts."""
        return self.generation.timeline.to_positions(self.scores)

    def to_mask(self) -> Float[torch.Tensor, "positions tokens"]:
        """Gates in [0, 1] for `generate(mask=...)`: the scores themselves if they are a mask, else scaled to [0, 1].

        Those of given frames are open: factual audio hears them with all words, counterfactual with none.
        """
        all_gates = self.to_positions()
        gates = all_gates[self.generation.given :]
        low, high = (0, 1) if self.is_mask else (gates.min(), gates.max())
        gates = ((gates - low) / (high - low)).clamp(0, 1) if high > low else torch.ones_like(gates)
        return torch.cat([torch.ones_like(all_gates[: self.generation.given]), gates])

    def plot(self, *, by: By = "word", intervals: Sequence[tuple[float, float]] = ()) -> Figure:
        """Words (phrases, tokens) by seconds, above the clip's spectrogram; `intervals` (seconds) are framed."""
        units = words.units(by, *self._text)
        labels = [unit.text for unit in units]
        return drawing().heat_map(self.generation, self.over_time(units), labels, intervals, is_mask=self.is_mask)

    def plot_deviation(self) -> Figure:
        """Each word's score over time in a band of its standard deviation over seeds (see `deviation_over_time`).

        Raises TagxaiError where the method was run with one seed, or has none.
        """
        units = self.words()
        deviation = self.deviation_over_time(units)
        if deviation is None:
            raise TagxaiError(
                f"this explanation by {self.method!r} has no spread over seeds; audiogenx has, with seeds=5"
            )
        return drawing().bands(self.generation, self.over_time(units), deviation, [unit.text for unit in units])

    def _repr_html_(self) -> str:
        return drawing().notebook_html(self)

    def __repr__(self) -> str:
        best = sorted(self.per_word(), key=lambda score: -score.score)[:3]
        shown = ", ".join(f"{score.text} {score.score:.3g}" for score in best)
        return f"Attribution({self.method}, {self.generation.prompt!r}: {shown})"

    def __sub__(self, other: Any) -> Attribution:
        """A signed attribution of the same clip: where this one gives more, and where the other does.

        `other` is an attribution, or an explanation that holds one. Raises TagxaiError for anything else, and where the
        two are of different clips, or join a word's tokens in different ways.
        """
        other = getattr(other, "attribution", other)  # of an Explanation, as a Comparison holds them
        if not isinstance(other, Attribution):
            raise TagxaiError(f"an attribution is subtracted from another, not {type(other).__name__} {other!r:.60}")
        check_subtractable(self, other)
        both = enumerate((self, other), 1)
        settings = {f"{i}.{name}": value for i, each in both for name, value in each.settings.items()}
        scores = self.scores - other.scores.to(self.scores)
        return Attribution(self.generation, scores, f"{self.method} - {other.method}", settings, merge=self.merge)

    # -- for other programs --------------------------------------------------------------------------------------

    def to_pandas(self, by: By = "word") -> pandas.DataFrame:
        """A row for each word (or phrase, or token) and frame: its text, the frame's seconds, the score.

        Raises TagxaiError where pandas is not installed.
        """
        return exporting.to_pandas(self, by)

    def to_csv(self, path: str | Path | None = None, by: By = "word") -> str:
        """The rows of `to_pandas` as CSV, also written to `path` where one is given."""
        return exporting.to_csv(self, path, by)

    def to_labels(self, form: str = "audacity", path: str | Path | None = None, by: By = "word") -> str:
        """Where each word (or phrase, or token) is strong, for Audacity, Praat ("textgrid") or Raven.

        Strong is at least half of full strength: 1 for a mask, else the score of the strongest half second. The text
        is also written to `path` where one is given.
        """
        return exporting.to_labels(self, form, path, by)

    @property
    def _text(self) -> tuple[str, tuple[tuple[int, int], ...], tuple[str, ...]]:
        return self.generation.prompt, self.generation.spans, self.generation.tokens

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path, *, intervals: Sequence[tuple[float, float]] = (), force: bool = False) -> Path:
        """Write `explanation.json`, `scores.safetensors` and `original.flac` into `folder`, in place of an earlier
        explanation: all of them, or none. The JSON also holds the words' scores in `intervals` (seconds).

        Raises TagxaiError where something cannot be kept, or where the folder holds other files, unless `force` is
        given; OSError where the disk is full. The earlier explanation then stays as it is.
        """
        with (
            storage.claimed(folder, *saved_folder.KINDS, force=force) as target,
            storage.whole_folder(target, saved_folder.earlier) as new,
        ):
            self.write(new, intervals=intervals)
        return target

    def check_savable(self) -> None:
        """Raises TagxaiError for what a file cannot hold, such as NaN in the diagnostics."""
        for name in ("settings", "diagnostics", "versions"):
            storage.check_json(f"{name} of method {self.method!r}", dict(getattr(self, name)))
        storage.check_json("the clip", generation_json.to_json(self.generation))
        storage.check_json(f"cost of method {self.method!r}", self.cost.to_json())
        if not torch.isfinite(self.generation.waveform).all():
            raise TagxaiError("the clip's sound holds NaN or infinity")

    def write(
        self, new: Path, *, intervals: Sequence[tuple[float, float]] = (), audio: Sequence[str] = (), **more: str
    ) -> None:
        """Write the files of `save` into an empty folder, and verify them. `audio` names files that belong to the
        explanation and are in the folder already; `more` is kept in the JSON."""
        self.check_savable()
        generation = self.generation
        tensors = {"scores": self.scores, **generation_json.to_tensors(generation)}
        if self.deviation is not None:
            tensors["deviation"] = self.deviation
        storage.write_tensors(new / "scores.safetensors", tensors)
        storage.write_audio(new / "original.flac", generation.waveform, generation.sample_rate)
        content: dict[str, Any] = {
            "schema": "tagxai.explanation",
            "schema_version": saved_folder.VERSION,
            "method": self.method,
            "method_settings": dict(self.settings),
            "is_mask": self.is_mask,
            "merge": self.merge,
            "generation": generation_json.to_json(generation),
            "words": [{**asdict(s.unit), "score": s.score} for s in self.per_word()],
            "intervals": [
                {"start": a, "end": b, "words": [{**asdict(s.unit), "score": s.score} for s in self.per_word(a, b)]}
                for a, b in intervals
            ],
            "audio": ["original.flac", *audio],
            **more,
            "cost": self.cost.to_json(),
            "diagnostics": dict(self.diagnostics),
            "versions": dict(self.versions),
            "sha256": {name: storage.sha256(new / name) for name in ("scores.safetensors", "original.flac", *audio)},
        }
        storage.check_json("the explanation", content)
        content["sha256"]["explanation.json"] = storage.json_sha256(content)
        storage.write_json(new / saved_folder.EXPLANATION, content)
        if not torch.equal(type(self).load(new).scores, self.scores.detach().cpu()):
            raise TagxaiError("the scores could not be read back as they were written; nothing was saved")

    @classmethod
    def load(cls, folder: str | Path) -> Attribution:
        """Read what `save` wrote. Raises DamagedFileError if a file is missing, changed or of another schema."""
        with storage.reading(Path(folder)):
            return cls._read(Path(folder))

    @classmethod
    def _read(cls, source: Path) -> Attribution:
        content = saved_folder.verified(source)
        try:
            tensors = storage.read_tensors(source / "scores.safetensors")
            waveform, _ = storage.read_audio(source / "original.flac")
            generation = generation_json.from_json(content["generation"], tensors, waveform)
            return cls(
                generation,
                tensors["scores"],
                content["method"],
                settings=content["method_settings"],
                is_mask=content["is_mask"],
                merge=content["merge"],
                cost=Cost.from_json(content["cost"]),
                diagnostics=content["diagnostics"],
                versions=content["versions"],
                deviation=tensors.get("deviation"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedFileError(f"{source / 'explanation.json'} is damaged: {error}") from None


def installed_versions() -> dict[str, str]:
    """The versions that a result depends on."""
    return {name: _version(name) for name in ("tagxai", "torch", "transformers")}


@cache
def _version(distribution: str) -> str:
    """Reading it takes a millisecond, and every attribution names three; what is loaded stays in its version."""
    return metadata.version(distribution)
