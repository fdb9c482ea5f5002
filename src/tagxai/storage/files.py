"""Single files: encoded and checked before anything is written, and verified when they are read. No pickle anywhere."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.lazy import torch
from tagxai.storage.saving import whole_file

ROUNDING = 2.0**-22
"""By how much a sample of 24 bits may differ from its number, of which 1 is full scale."""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def json_sha256(content: Mapping[str, Any]) -> str:
    """The checksum of a JSON object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_json(what: str, content: Any) -> None:
    """Raises TagxaiError naming the first part of `content` that JSON cannot hold as it is."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if not isinstance(key, str):
                raise TagxaiError(f"{what} has the key {key!r:.60}; expected text")
            check_json(f"{what}[{key!r}]", value)
    elif isinstance(content, (list, tuple)):
        for number, value in enumerate(content):
            check_json(f"{what}[{number}]", value)
    elif isinstance(content, float):
        if not math.isfinite(content):
            raise TagxaiError(f"{what} is {content}; expected a finite number")
    elif isinstance(content, str):
        try:
            content.encode()
        except UnicodeEncodeError:
            raise TagxaiError(f"{what} is {content!a:.60}, which is not valid UTF-8 text") from None
    elif not (content is None or isinstance(content, int)):
        raise TagxaiError(
            f"{what} is {content!r:.60} of type {type(content).__name__}; expected text, numbers, lists and tables"
        )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """The whole file or none. Raises OSError, also where the disk is full without saying so."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
        if temporary.stat().st_size != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def read_json(path: Path) -> dict[str, Any]:
    content = _read(path, lambda: json.loads(path.read_text(encoding="utf-8")))
    if not isinstance(content, dict):
        raise DamagedFileError(f"{path} is damaged: expected a JSON object")
    return content


def encoded_tensors(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The content of a safetensors file."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(plain, dict(metadata) if metadata is not None else None)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    write_bytes(path, encoded_tensors(tensors))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    return _read(path, lambda: load(path.read_bytes()))  # by name, it cannot read one that is not Unicode


def write_audio(path: Path, waveform: torch.Tensor, sample_rate: int) -> None:
    """`waveform[channels, samples]` as 24-bit audio in the format of the file's ending; clipped to [-1, 1].

    Encoded in memory, and decoded again: libsndfile does not say when a full disk takes only a part of a file. Raises
    TagxaiError for a sound that cannot be stored.
    """
    import soundfile

    if not torch.isfinite(waveform).all():
        raise TagxaiError(f"the sound for {path.name} holds NaN or infinity, so nothing is written")
    samples = waveform.detach().float().clamp(-1, 1).cpu().T.numpy()
    kind, buffer = path.suffix[1:].upper(), io.BytesIO()
    try:
        soundfile.write(buffer, samples, sample_rate, subtype="PCM_24", format=kind)
        again, _ = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        shape = f"{samples.shape[1]} channels of {samples.shape[0]} samples at {sample_rate} Hz"
        raise TagxaiError(f"a sound of {shape} cannot be stored as {kind}: {error}") from None
    if again.shape != samples.shape or abs(again - samples).max(initial=0) > ROUNDING:
        raise TagxaiError(f"the sound for {path.name} was not encoded faithfully, so nothing is written")
    write_bytes(path, buffer.getvalue())


def read_audio(path: Path) -> tuple[torch.Tensor, int]:
    """`(waveform[channels, samples], sample_rate in Hz)`."""
    import soundfile

    def read() -> Any:  # from memory: by name, it cannot read one that is not Unicode
        return soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32", always_2d=True)

    samples, sample_rate = _read(path, read)
    return torch.from_numpy(samples.T.copy()), sample_rate


def _read(path: Path, reader: Callable[[], Any]) -> Any:
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing; expected a folder written by tagxai")
    try:
        return reader()
    except Exception as error:  # each format has its own exceptions; all mean that the file is not what was written
        raise DamagedFileError(f"{path} is damaged and cannot be read ({type(error).__name__})") from None
