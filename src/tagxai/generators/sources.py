"""Where models come from: a local folder or the model hub, and what may go wrong there, in one sentence."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tagxai.errors import TagxaiError

T = TypeVar("T")


# -- where models come from ------------------------------------------------------------------------------------------


def load_from(source: str, load: Callable[..., T], *, what: str, layout: str, needs: Sequence[str] = ()) -> T:
    """`load(source)` of a local folder, which `needs` these files, or `load(source, local_files_only=...)` of a hub id.

    `load` may raise anything; it becomes a TagxaiError that says `what` was expected, in a folder of which `layout`.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        with _one_sentence(f"folder {source!r} does not hold {what}"):
            if missing := [name for name in needs if not (folder / name).is_file()]:
                raise FileNotFoundError(f"it has no {missing[0]}")
            return load(str(folder))
    if folder.exists() or source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise TagxaiError(f"no model at {source!r}: expected a folder {layout} or a hub id OWNER/NAME")
    return load_from_hub(source, load)


def load_from_hub(source: str, load: Callable[..., T]) -> T:
    """From the local cache, else from the hub, asked once: transformers itself would try for half a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    with _one_sentence(f"model {source!r} of the model hub cannot be loaded"):
        with suppress(OSError, ValueError):  # not in the cache
            return load(source, local_files_only=True)
        try:
            HfApi().model_info(source, timeout=10)
        except RepositoryNotFoundError:
            raise TagxaiError(f"the model hub has no model {source!r}, or it is private") from None
        except Exception as error:  # the network has many ways to be absent
            raise TagxaiError(
                f"cannot load {source!r} from the model hub: no local copy, and no network ({first_line(error)}); "
                "give a local folder, or use the generator 'tiny'"
            ) from None
        return load(source, local_files_only=False)


@contextmanager
def _one_sentence(beginning: str) -> Iterator[None]:
    """Whatever a wrong model makes a library raise becomes a TagxaiError."""
    try:
        yield
    except TagxaiError:
        raise
    except pickle.UnpicklingError:
        raise TagxaiError(
            f"{beginning}: it has a pickle of more than tensors, and reading that could run code"
        ) from None
    except Exception as error:
        raise TagxaiError(f"{beginning}: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    text = str(error).strip()
    first = (text.splitlines() or [type(error).__name__])[0]
    return " ".join(text.split()) if first.endswith(":") else first
