"""Scores that are kept, on disk or for several methods in memory: a coalition is scored once.

Files are named after the hash of their own content, written under another name and renamed when they are whole. So
writers never collide, a killed one leaves nothing that is read, and a damaged file is ignored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from tagxai import storage
from tagxai.contract.generator import Generator
from tagxai.contract.identity import changes
from tagxai.contract.run import uncounted
from tagxai.errors import DamagedFileError
from tagxai.lazy import Float, torch

_folder: ContextVar[Path | None] = ContextVar("tagxai_score_cache", default=None)


@contextmanager
def cached(folder: str | Path) -> Iterator[None]:
    """Inside the block, `score` reads known rows from files in `folder`, and writes the rows that it runs.

    A file is identified by its content: the clip's record, prompt and timeline, the operator, the target, the
    frames, and how the generator itself scores the clip, bit for bit. Another model, device or number of threads
    therefore finds nothing, rather than something wrong.
    """
    token = _folder.set(storage.output_folder(folder))
    try:
        yield
    finally:
        _folder.reset(token)


def is_active() -> bool:
    return _folder.get() is not None


class SharedRow(NamedTuple):
    """A coalition's row, and the seconds that it took."""

    row: Float[torch.Tensor, "streams frames"]
    seconds: float


_Shared = tuple[Generator, dict[tuple[int, str], dict[str, SharedRow]]]
_shared: ContextVar[_Shared | None] = ContextVar("tagxai_shared_scores", default=None)


@contextmanager
def shared_scores(generator: Generator) -> Iterator[None]:
    """Inside the block, `score` runs a coalition once for this generator, whichever methods and metrics ask for it.

    Methods are charged for it all the same, its row, its call and its seconds, so that the cost of a method does not
    depend on which others came before it. A copy of the generator, or one whose weights have changed in place since,
    finds nothing.
    """
    token = _shared.set((generator, {}))
    try:
        yield
    finally:
        _shared.reset(token)


def shared_rows(generator: Generator, question: Callable[[], Mapping[str, Any]]) -> dict[str, SharedRow]:
    """The known rows of one question, by the coalition's key; what is added is known to whoever asks it next."""
    shared = _shared.get()
    if shared is None or shared[0] is not uncounted(generator):
        return {}
    key = changes(shared[0].modules().values()), storage.json_sha256(question())
    return shared[1].setdefault(key, {})


def digest(tensor: torch.Tensor) -> str:
    """Hash of a tensor's exact bits and shape."""
    plain = tensor.detach().cpu().contiguous()
    return hashlib.sha256(
        repr((plain.dtype, plain.shape)).encode() + plain.view(torch.uint8).numpy().tobytes()
    ).hexdigest()


class ScoreCache:
    """The rows of one question (`content`: all that an answer depends on but the coalition), by the coalition's key."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        root = _folder.get()
        assert root is not None
        self.folder = storage.output_folder(root / storage.json_sha256(content)[:32])

    def read(self) -> dict[str, Float[torch.Tensor, "streams frames"]]:
        """Every row on disk, by `name` of its coalition's key."""
        rows: dict[str, torch.Tensor] = {}
        for file in sorted(self.folder.glob("[0-9a-f]*.safetensors")):
            try:
                status = file.stat()
                rows.update(_rows(file, status.st_mtime_ns, status.st_size))
            except (OSError, DamagedFileError):
                continue  # gone or damaged: run again
        return rows

    def write(self, rows: Mapping[str, Float[torch.Tensor, "streams frames"]]) -> None:
        content = storage.encoded_tensors(rows)
        path = self.folder / f"{hashlib.sha256(content).hexdigest()}.safetensors"
        storage.write_bytes(path, content)


@lru_cache(maxsize=1024)
def _rows(file: Path, changed: int, size: int) -> dict[str, torch.Tensor]:
    """A file's rows, read once until it has `changed`: questions about one clip come one after another."""
    if storage.sha256(file) != file.stem:
        raise DamagedFileError(f"{file} is damaged")
    return storage.read_tensors(file)


def name(key: str) -> str:
    """A coalition's key as the name of its tensor."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]
