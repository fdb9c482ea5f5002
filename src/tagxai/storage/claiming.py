"""Who a folder belongs to: a result goes into one that is new, empty, or says that it holds such a result."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from tagxai.errors import TagxaiError
from tagxai.storage.locks import ALONE
from tagxai.storage.saving import COMMITTED, DRAFT, settle, sweep

FORCE = "--force"
"""The option with which a person allows writing into a folder that holds other files."""

_KINDS = {
    "tagxai.explanation": "an explanation",
    "tagxai.comparison": "a comparison of methods",
    "tagxai.edit": "an edit",
    "tagxai.benchmark": "a benchmark",
    "tagxai.benchmark.results": "tables of `tagxai evaluate`",
    "tagxai.conversion": "a converted model",
    "tagxai.clip": "clips of `tagxai generate`",
    "tagxai.explanations": "explanations of a list",
}
_SCHEMA = re.compile(rb'\s*\{\s*"schema":\s*"(tagxai\.[\w.]+)"')
_INDEX = {"line,prompt,seed,clip,error": "tagxai.clip", "line,prompt,seed,folder,error": "tagxai.explanations"}


@contextmanager
def claimed(path: str | Path, *kinds: str, force: bool = False) -> Iterator[Path]:
    """`new_folder(path)` for a result of one of these `kinds` (schemas); what killed runs left there is tidied up.

    Raises TagxaiError where the folder holds anything but such a result, unless `force` is given.
    """
    check_claim(path, *kinds, force=force)
    with new_folder(path) as folder:
        settle(folder)
        sweep(folder)
        yield folder


def check_claim(path: str | Path, *kinds: str, force: bool = False) -> None:
    """Raises TagxaiError where `path` is a folder that is neither empty nor of one of these kinds."""
    folder = Path(path)
    if force or not folder.is_dir():
        return
    found = kinds_in(folder)
    if others := sorted(found.difference(kinds)):
        held = " and ".join(_KINDS.get(kind, kind) for kind in others)
        raise TagxaiError(f"folder {str(path)!r} holds {held}; give another folder, or {FORCE} to write into it")
    if found:
        return
    own = next((file.name for file in sorted(folder.iterdir()) if not _left_over(file.name)), None)
    if own is not None:
        raise TagxaiError(
            f"folder {str(path)!r} holds other files ({own!r}); give a folder that is new, empty or written by tagxai, "
            f"or {FORCE} to write into it"
        )


def held_in(folder: Path) -> str | None:
    """What a folder says it holds, in words; None where it says nothing."""
    return " and ".join(_KINDS.get(kind, kind) for kind in sorted(kinds_in(folder))) or None


def kinds_in(folder: Path) -> set[str]:
    """The kinds of results that a folder says it holds. Damaged ones say so too, if their beginnings are whole."""
    found = set()
    settle(folder)
    for file in folder.glob("*.json"):
        if match := _SCHEMA.match(_beginning(file)):
            found.add(match[1].decode())
    header = _beginning(folder / "index.csv").partition(b"\n")[0].strip().decode(errors="replace")
    if header in _INDEX:
        found.add(_INDEX[header])
    if "tagxai.benchmark" in found:
        found.discard("tagxai.benchmark.results")
    return found


def input_files(out: str | Path, written: Sequence[str], inputs: Iterable[str | Path]) -> None:
    """Raises TagxaiError where a result in `out`, of files with names like those `written`, would replace an input."""
    folder = Path(out).resolve()
    for given in inputs:
        file = Path(given).resolve()
        if file.is_file() and file.parent == folder and any(fnmatch(file.name, name) for name in written):
            raise TagxaiError(f"the results in {str(out)!r} would overwrite {str(given)!r}; give another folder")


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


def _left_over(name: str) -> bool:
    return name.startswith(DRAFT) or name in (COMMITTED, ALONE)


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(200)
    except OSError:
        return b""
