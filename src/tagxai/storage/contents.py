"""What a file or folder holds just now: whether it was touched since it was read, and its checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

State = tuple[tuple[str, int, int, int, int], ...]
"""The name of each file, and where, when and how long it was last written."""


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; False for texts that are no path."""
    try:
        return path != Path() and path.exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False


def state(path: Path) -> State:
    """Another value whenever a file here was written, replaced, added, renamed or removed; empty for a missing path.

    The time of change is the system's own, which copying a file's dates does not set back.
    """
    found = ((file, file.stat()) for file in _files(path))
    base = path.parent if path.is_file() else path
    return tuple(
        (file.relative_to(base).as_posix(), status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size)
        for file, status in found
    )


def digest(path: Path) -> str:
    """A checksum of a file, or of all files below a folder and their names."""
    if not path.is_dir():
        return _of_file(path, state(path))
    whole = hashlib.sha256()
    for file in _files(path):
        whole.update(f"{file.relative_to(path).as_posix()}\n{_of_file(file, state(file))}\n".encode(errors="replace"))
    return whole.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    elif path.is_file():
        yield path


@lru_cache(maxsize=1024)
def _of_file(file: Path, state: State) -> str:
    """Read again only where its state is another."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
