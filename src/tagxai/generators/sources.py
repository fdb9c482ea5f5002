"""Where models come from: a local folder or the model hub, and what may go wrong there, in one sentence."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from tagxai.contract.shortage import is_out_of_memory
from tagxai.errors import TagxaiError
from tagxai.generators.kinds import found_instead

T = TypeVar("T")

_offline: ContextVar[bool] = ContextVar("tagxai_offline", default=False)


@contextmanager
def no_downloads() -> Iterator[None]:
    """Inside the block no model is downloaded: only folders and local copies are loaded."""
    token = _offline.set(True)
    try:
        yield
    finally:
        _offline.reset(token)


def load_from(source: str, load: Callable[..., T], *, what: str, layout: str, needs: Sequence[str] = ()) -> T:
    """`load(source)` of a local folder, which `needs` these files, or what `load_from_hub` makes of a hub id.

    `load` may raise anything; it becomes a TagxaiError that says `what` was expected, in a folder of which `layout`.
    """
    folder = Path(source).expanduser()
    with _one_sentence(f"model {source!r} cannot be read"):
        is_folder, exists = folder.is_dir(), folder.exists()
    if is_folder:
        with _one_sentence(f"folder {source!r} does not hold {what}"):
            missing = [name for name in needs if not (folder / name).is_file()]
            if missing:
                raise FileNotFoundError(found_instead(folder) or f"it has no {missing[0]}")
            return load(str(folder))
    if exists or source.startswith((".", "/", "~")) or source.partition("@")[0].count("/") != 1:
        raise TagxaiError(f"no model at {source!r}: expected a folder {layout} or a hub id OWNER/NAME[@REVISION]")
    return load_from_hub(source, load)


def load_from_hub(source: str, load: Callable[..., T]) -> T:
    """`load(name, revision=..., local_files_only=...)` of a hub id OWNER/NAME[@REVISION]; without one, no revision.

    From the local cache, else from the hub, asked once: transformers itself would try for half a minute.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    name, at, revision = source.partition("@")
    if at and not revision:
        raise TagxaiError(f"no revision after the @ of {source!r}; give a branch, tag or commit, or leave the @ out")
    pinned: dict[str, Any] = {"revision": revision} if revision else {}
    with _one_sentence(f"model {source!r} of the model hub cannot be loaded"):
        try:
            return load(name, local_files_only=True, **pinned)
        except (OSError, ValueError) as error:
            if is_refused(error):
                raise
            local = (
                f"its local copy is incomplete or damaged ({first_line(error)})"
                if _has_copy(name, pinned)
                else "no local copy"
            )
        if _offline.get():
            raise TagxaiError(f"model {source!r} has {local}, and nothing is downloaded here; give a local folder")
        try:
            HfApi().model_info(name, timeout=10, **pinned)
        except RevisionNotFoundError:
            raise TagxaiError(f"model {name!r} of the model hub has no revision {revision!r}") from None
        except RepositoryNotFoundError:
            raise TagxaiError(f"the model hub has no model {name!r}, or it is private") from None
        except Exception as error:  # the network has many ways to be absent
            raise TagxaiError(
                f"cannot load {source!r} from the model hub: {local}, and no network ({first_line(error)}); "
                "give a local folder, or use the generator 'tiny'"
            ) from None
        return load(name, local_files_only=False, **pinned)


def _has_copy(name: str, pinned: dict[str, Any]) -> bool:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot_download(name, local_files_only=True, **pinned)
    except LocalEntryNotFoundError:
        return False
    return True


def is_refused(error: BaseException) -> bool:
    """Whether the operating system refused: no permission, a full disk, an unreadable disk."""
    from errno import EACCES, EDQUOT, EIO, ENOSPC, EPERM, EROFS

    return isinstance(error, OSError) and error.errno in {EACCES, EDQUOT, EIO, ENOSPC, EPERM, EROFS}


@contextmanager
def _one_sentence(beginning: str) -> Iterator[None]:
    """Whatever a wrong model makes a library raise becomes a TagxaiError, but for running out of memory."""
    try:
        yield
    except TagxaiError:
        raise
    except pickle.UnpicklingError:
        raise TagxaiError(
            f"{beginning}: it contains a pickle of more than tensors, and reading one could run code"
        ) from None
    except Exception as error:
        if is_out_of_memory(error):
            raise
        for cause in (error, error.__cause__, error.__context__):  # transformers wraps them
            if isinstance(cause, OSError) and is_refused(cause):
                raise TagxaiError(f"{cause.filename or 'a file of the model'}: {cause.strerror}") from None
        raise TagxaiError(f"{beginning}: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    text = str(error).strip()
    first = (text.splitlines() or [type(error).__name__])[0]
    return " ".join(text.split()) if first.endswith(":") else first
