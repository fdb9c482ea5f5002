"""Running out of memory, reported as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tagxai.errors import TagxaiError
from tagxai.lazy import torch

_SIGNS = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class ShortOfMemoryError(TagxaiError):
    """Memory did not suffice, on a GPU or on a CPU."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is what an error means: torch has a class of its own for it only where its own allocator failed."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


@contextmanager
def naming_shortage(doing: str, remedy: str) -> Iterator[None]:
    """Raises ShortOfMemoryError for whatever torch raises in the block when memory does not suffice for `doing`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ShortOfMemoryError(f"there is not enough memory {doing}; {remedy}") from error
