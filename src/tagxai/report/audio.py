"""Clips as text that a page can hold."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

from tagxai.lazy import Float, torch

LARGEST = 1_500_000
"""Bytes of lossless audio that a page holds; beyond them its clips are compressed as Ogg Vorbis."""
_AT_A_TIME = 65536  # samples; libsndfile's Vorbis writer keeps what it is given on the stack

_FORMATS = {"audio/flac": ("FLAC", "PCM_16"), "audio/ogg": ("OGG", "VORBIS")}


def audio_texts(
    waveforms: Sequence[tuple[Float[torch.Tensor, "channels samples"], int]],
) -> tuple[list[str], str]:
    """Each (waveform, sample rate) as base64, and the type of all of them: FLAC while that stays small."""
    files = [_encoded(*each, "audio/flac") for each in waveforms]
    kind = "audio/flac"
    if sum(map(len, files)) > LARGEST:
        kind = "audio/ogg"
        files = [_encoded(*each, kind) for each in waveforms]
    return [b64encode(file).decode() for file in files], kind


def _encoded(waveform: torch.Tensor, sample_rate: int, kind: str) -> bytes:
    import soundfile

    form, subtype = _FORMATS[kind]
    samples = waveform.detach().float().clamp(-1, 1).cpu().T.numpy()
    buffer = BytesIO()
    with soundfile.SoundFile(
        buffer, "w", samplerate=sample_rate, channels=samples.shape[1], format=form, subtype=subtype
    ) as file:
        for first in range(0, len(samples), _AT_A_TIME):
            file.write(samples[first : first + _AT_A_TIME])
    return buffer.getvalue()
