"""The folder that `tagxai explain` writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from tagxai import storage
from tagxai.contract import saved_folder
from tagxai.contract.attribution import Attribution
from tagxai.contract.showing import drawing
from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.explaining.listening import Track, TrackKind

Interval = tuple[float, float]
"""[start, end) in seconds."""

_TRACK_FILE = rf"(({'|'.join(get_args(TrackKind))})(?:-(\d+))?)\.flac"


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a folder of `tagxai explain` holds: an attribution, the requested intervals, audio, and what was `heard`.

    `heard` is a sentence on what a detector hears in the clip, beside what its prompt asks for; empty where unknown.
    """

    attribution: Attribution
    intervals: Sequence[Interval] = ()
    tracks: Sequence[Track] = ()
    heard: str = ""

    def __post_init__(self) -> None:
        for interval in self.intervals:
            self.attribution.generation.frame_range(*interval)

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write everything into `folder`, in place of an earlier explanation: all of it, or none.

        Raises TagxaiError where something cannot be kept, or where the folder holds other files, unless `force` is
        given; OSError where the disk is full. The earlier explanation then stays as it is.
        """
        with (
            storage.claimed(folder, *saved_folder.KINDS, force=force) as target,
            storage.whole_folder(target, saved_folder.earlier) as new,
        ):
            self.write(new)
        return target

    def write(self, new: Path) -> None:
        """Write the files of `save` into an empty folder, and verify them."""
        for track in self.tracks:
            storage.write_audio(new / track.file, track.waveform, track.sample_rate)
        more = {"heard": self.heard} if self.heard else {}
        files = [track.file for track in self.tracks]
        self.attribution.write(new, intervals=self.intervals, audio=files, **more)

    def _repr_html_(self) -> str:
        return drawing().notebook_html(self)

    @classmethod
    def load(cls, folder: str | Path) -> Explanation:
        """Read what `save`, or `Attribution.save`, wrote. Raises DamagedFileError."""
        with storage.reading(Path(folder)):
            return cls._read(Path(folder))

    @classmethod
    def _read(cls, source: Path) -> Explanation:
        attribution = Attribution.load(source)
        content = storage.read_json(source / "explanation.json")
        try:
            intervals = tuple((float(i["start"]), float(i["end"])) for i in content.get("intervals", ()))
            tracks = tuple(
                _read_track(source, file, attribution.generation.seed)
                for file in content.get("audio", ())
                if file != "original.flac"
            )
            return cls(attribution, intervals, tracks, str(content.get("heard", "")))
        except (KeyError, TypeError, ValueError, TagxaiError) as error:
            raise DamagedFileError(f"{source / 'explanation.json'} is damaged: {error}") from None


def _read_track(folder: Path, file: str, first_seed: int) -> Track:
    """The clip in `file`, whose name holds its kind and number: number i has the i-th seed from the original's up."""
    match = re.fullmatch(_TRACK_FILE, file)
    if match is None:
        raise ValueError(f"{file!r} is not the name of a track")
    name, number = match[1], match[3]
    kind: TrackKind = match[2]  # type: ignore[assignment]
    waveform, sample_rate = storage.read_audio(folder / file)
    return Track(name, kind, first_seed + int(number or 1) - 1, waveform, sample_rate)
