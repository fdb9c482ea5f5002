"""Which Python generators a block was entered in: one that is suspended must not change what its caller sees.

A context variable that is set inside a generator stays set while the generator is suspended (PEP 568 would have changed
that), so whoever asks must check that the generator is running.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from types import FrameType

_GENERATOR = CO_GENERATOR | CO_ASYNC_GENERATOR


def suspendable_frames() -> tuple[FrameType, ...]:
    """The generators on the stack that their caller may leave suspended; context managers do not count."""
    return tuple(
        frame
        for frame in _stack()
        if frame.f_code.co_flags & _GENERATOR and frame.f_back is not None and not _is_context_manager(frame.f_back)
    )


def running_frames() -> frozenset[int]:
    """The ids of all frames on the stack."""
    return frozenset(id(frame) for frame in _stack())


def _stack() -> Iterator[FrameType]:
    frame = sys._getframe(2).f_back  # what called the function that asks
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_context_manager(caller: FrameType) -> bool:
    return caller.f_code.co_filename == contextlib.__file__
