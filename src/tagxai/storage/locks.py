"""Locks on folders, which the system drops when their process dies. Without support for them, nothing is locked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tagxai.errors import TagxaiError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ALONE = ".tagxai-lock"


@contextmanager
def held(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """A lock on a file or folder; whether it was got. Not every file system has locks, and then it never is.

    Raises BlockingIOError where another holds it and `wait` is False.
    """
    if fcntl is None:
        yield False
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(opened, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            got = _same(opened, path)
        except BlockingIOError:
            raise
        except OSError:  # a network drive, say
            got = False
        yield got
    finally:
        os.close(opened)


def _same(opened: int, path: Path) -> bool:
    """Whether `path` still is what was opened: it may have been deleted before the lock was got."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(opened), os.stat(path))
    return False


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One long run at a time in a folder. Raises TagxaiError where another is at work there."""
    path = folder / ALONE
    with ExitStack() as stack:
        while True:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o644))
            try:
                got = stack.enter_context(held(path, wait=False))
            except FileNotFoundError:  # deleted by a run that ended just now
                continue
            except BlockingIOError:
                raise TagxaiError(
                    f"another run of tagxai is writing into {str(folder)!r}; wait for it, or give another folder"
                ) from None
            if got or path.exists():
                break
            stack.close()
        stack.callback(path.unlink, missing_ok=True)  # before the lock is dropped
        yield
