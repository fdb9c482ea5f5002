"""Saves that happen wholly or not at all, whatever ends them.

A save is written into a draft, a hidden folder beside what it will replace. Renaming the finished draft to `COMMITTED`
is the moment at which it happens: from then on every reader and writer first moves its files into their places. A
draft is locked while its process lives, so that those of killed processes are recognised and deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tagxai.errors import DamagedFileError, TagxaiError
from tagxai.storage.locks import held

DRAFT, COMMITTED = ".tagxai-draft-", ".tagxai-saved"
_NEW, _REMOVED = "new", "removed.json"


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """An empty folder inside `folder`, on the same file system, which is deleted in the end."""
    with ExitStack() as stack:
        while True:
            place = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder))
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            try:
                stack.enter_context(held(place, wait=False))
            except (FileNotFoundError, BlockingIOError):
                continue  # another process swept it before it was locked
            if place.exists():
                break
        yield place


def sweep(folder: Path) -> None:
    """Delete what killed processes left in a folder, and up to two levels below."""
    for place in _drafts(folder, levels=2):
        with suppress(OSError), held(place, wait=False) as got:
            if got:
                shutil.rmtree(place, ignore_errors=True)


def _drafts(folder: Path, levels: int) -> Iterator[Path]:
    """The drafts below a folder, but for those inside of drafts; folders may vanish meanwhile."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        if entry.name.startswith(DRAFT):
            yield Path(entry.path)
        elif levels and entry.name != COMMITTED and entry.is_dir(follow_symlinks=False):
            yield from _drafts(Path(entry.path), levels - 1)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path that replaces `path` when the block succeeds, and is deleted when it fails."""
    with draft(path.parent) as place:
        yield place / path.name
        os.replace(place / path.name, path)


@contextmanager
def whole_folder(folder: Path, earlier: Callable[[Path], Iterable[str]]) -> Iterator[Path]:
    """An empty folder whose files replace those of `folder` when the block succeeds: all at once, or none.

    `earlier` names the files of the result that is replaced; they are deleted if they are not written again. Everything
    else in the folder stays. Of several writers, the last wins wholly. Raises TagxaiError where files cannot be placed.
    """
    settle(folder)
    sweep(folder)
    with draft(folder) as place:
        new = place / _NEW
        new.mkdir()
        yield new
        files = _files(new)
        for name in files:
            _check_place(folder, name)
            _sync(new / name)
        with held(folder):
            _settle(folder)
            removed = [name for name in earlier(folder) if name not in files]
            (place / _REMOVED).write_text(json.dumps(removed), encoding="utf-8")
            _sync(place / _REMOVED)
            os.rename(place, folder / COMMITTED)
            _settle(folder)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """No save takes place in `folder` inside the block, and one that was interrupted has been completed."""
    if not folder.is_dir():
        yield
        return
    settle(folder)
    with held(folder, shared=True):
        yield


def settle(folder: Path) -> None:
    """Complete a save that was killed between its commit and its end."""
    if (folder / COMMITTED).is_dir():
        try:
            with held(folder):
                _settle(folder)
        except OSError as error:
            raise DamagedFileError(
                f"{folder} holds a save that was interrupted, and it cannot be completed: {error.strerror}"
            ) from None


def _settle(folder: Path) -> None:
    """May be repeated from any point at which it was killed."""
    committed = folder / COMMITTED
    if not committed.is_dir():
        return
    if committed.is_symlink() or (committed / _NEW).is_symlink():
        raise TagxaiError(f"{str(committed)!r} is or holds a link, which tagxai never makes; delete it")
    removed: list[str] = []
    with suppress(OSError, ValueError, TypeError):  # gone: only the rest of this function is left to do
        found = list(json.loads((committed / _REMOVED).read_text(encoding="utf-8")))
        removed = [name for name in found if isinstance(name, str)]
    files = _files(committed / _NEW)
    for name in (*removed, *files):
        _check_place(folder, name)
    for name in removed:
        (folder / name).unlink(missing_ok=True)
        if (parent := (folder / name).parent) != folder:
            with suppress(OSError):  # holds something else
                parent.rmdir()
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(committed / _NEW / name, folder / name)
    shutil.rmtree(committed, ignore_errors=True)


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _check_place(folder: Path, name: str) -> None:
    """Raises TagxaiError where a file has no place in the folder, or only one that is not inside."""
    place = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise TagxaiError(f"{name!r} is not the name of a file in {str(folder)!r}")
    if place.is_dir():
        raise TagxaiError(f"{str(place)!r} is a folder, where a file is to be written; move it or give another folder")
    for parent in Path(name).parents:
        above = folder / parent
        if parent != Path() and (above.is_symlink() or (above.exists() and not above.is_dir())):
            raise TagxaiError(f"{str(above)!r} is a file or a link, where a folder is to be written; move it away")


def _sync(path: Path) -> None:
    """On the disk, not only on its way there: some file systems report only now that they are full."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
