"""Continuing a sound: a clip whose first frames are given, and only the rest is sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from tagxai import storage
from tagxai.contract.values import Generation
from tagxai.errors import DamagedFileError, TagxaiError, UnsupportedError
from tagxai.lazy import Float, torch


@dataclass(frozen=True, eq=False)
class Beginning:
    """The first `frames` of a clip's `record`, which a new clip begins with."""

    record: Mapping[str, torch.Tensor]
    frames: int

    @classmethod
    def of(cls, generation: Generation, frames: int) -> Beginning | None:
        """That of a clip; None for no frames."""
        return cls(generation.record, frames) if frames else None


class Sound(NamedTuple):
    """A sound that is no generator's; the rate in Hz."""

    waveform: Float[torch.Tensor, "channels samples"]
    sample_rate: int


class Continuing:
    """What a generator that can continue sounds has besides; by default it refuses."""

    name: ClassVar[str]

    def encode_audio(self, waveform: Float[torch.Tensor, "channels samples"], sample_rate: int) -> Beginning:
        """The sound, of any rate and number of channels, as the beginning of a clip (`Request.beginning`).

        Raises TagxaiError for a sound that is too short or too long, UnsupportedError where it cannot be continued.
        """
        raise UnsupportedError(f"generator {self.name!r} cannot continue a sound: it has no encoder of audio")

    def without_beginning(self, generation: Generation) -> Generation:
        """The frames that were not given, as a clip of their own, which begins with them."""
        raise UnsupportedError(f"generator {self.name!r} cannot run a clip without its beginning")


def read_sound(path: str | Path, seconds: float | None = None) -> Sound:
    """The first `seconds` of a sound file. Raises TagxaiError."""
    if not (file := Path(path)).is_file():
        raise TagxaiError(f"there is no sound file {str(path)!r}; give a WAV, FLAC, OGG or MP3 file")
    try:
        waveform, rate = storage.read_audio(file)
    except DamagedFileError:
        raise TagxaiError(f"{str(path)!r} is no sound file that can be read; give WAV, FLAC, OGG or MP3") from None
    if seconds is not None:
        if seconds * rate > waveform.shape[1] + 0.5:
            raise TagxaiError(
                f"{str(path)!r} has {waveform.shape[1] / rate:g} s, of which {seconds:g} s cannot be kept"
            )
        waveform = waveform[:, : round(seconds * rate)]
    if not torch.isfinite(waveform).all():
        raise TagxaiError(f"the sound in {str(path)!r} holds NaN or infinity")
    return Sound(waveform, rate)


def fitted(sound: Sound, sample_rate: int, channels: int) -> Float[torch.Tensor, "channels samples"]:
    """The sound at another rate, and with as many channels as a model has."""
    waveform = sound.waveform
    if len(waveform) != channels:
        waveform = waveform.mean(0, keepdim=True).expand(channels, -1)
    length = waveform.shape[1]
    samples = round(length * sample_rate / sound.sample_rate)
    if sample_rate == sound.sample_rate or not samples:
        return waveform[:, :samples]
    # Not by torchaudio, which comes with some extras alone. The band is cut, or padded, in the spectrum of the sound
    # and its mirror image, which begins where the sound ends.
    spectrum = torch.fft.rfft(torch.cat([waveform, waveform.flip(-1)], -1))
    return torch.fft.irfft(spectrum, n=2 * samples)[:, :samples] * (samples / length)
