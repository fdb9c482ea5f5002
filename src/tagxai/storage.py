"""Files: written completely or not at all, and verified when they are read. No pickle anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.lazy import torch


def output_folder(path: str | Path) -> Path:
    """`path` as a folder that exists and can be written to. Raises TagxaiError where it cannot be one."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise TagxaiError(f"output folder {str(path)!r} is a file or lies below one; give a folder") from None
    except OSError as error:
        raise TagxaiError(f"output folder {str(path)!r} cannot be created: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise TagxaiError(f"output folder {str(path)!r} cannot be written to")
    return folder


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """`output_folder(path)`; if the block fails, the folders that it created are removed again where they are empty."""
    missing = [folder for folder in (Path(path), *Path(path).parents) if not folder.exists()]
    try:
        yield output_folder(path)
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block succeeds, and is deleted when it fails."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def json_sha256(content: Mapping[str, Any]) -> str:
    """The checksum of a JSON object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def read_json(path: Path) -> dict[str, Any]:
    content = _read(path, lambda: json.loads(path.read_text(encoding="utf-8")))
    if not isinstance(content, dict):
        raise DamagedFileError(f"{path} is damaged: expected a JSON object")
    return content


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    with whole_file(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return _read(path, lambda: load_file(path))


def write_audio(path: Path, waveform: torch.Tensor, sample_rate: int) -> None:
    """`waveform[channels, samples]` as 24-bit audio in the format of the file's ending; clipped to [-1, 1]."""
    import soundfile

    with whole_file(path) as temporary:
        samples = waveform.detach().float().clamp(-1, 1).cpu().T.numpy()
        soundfile.write(temporary, samples, sample_rate, subtype="PCM_24")


def read_audio(path: Path) -> tuple[torch.Tensor, int]:
    """`(waveform[channels, samples], sample_rate in Hz)`."""
    import soundfile

    samples, sample_rate = _read(path, lambda: soundfile.read(path, dtype="float32", always_2d=True))
    return torch.from_numpy(samples.T.copy()), sample_rate


def _read(path: Path, reader: Callable[[], Any]) -> Any:
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing; expected a folder written by tagxai")
    try:
        return reader()
    except Exception as error:  # each format has its own exceptions; all mean that the file is not what was written
        raise DamagedFileError(f"{path} is damaged and cannot be read ({type(error).__name__})") from None
