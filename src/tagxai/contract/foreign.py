"""Code from outside tagxai: whatever it does, its caller gets its result or one sentence, and nothing else changes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import copy_context
from typing import Any, TypeVar

from tagxai.contract.interrupts import ctrl_c_noticed
from tagxai.contract.process_state import process_state_kept
from tagxai.contract.shortage import is_out_of_memory
from tagxai.errors import TagxaiError, error_sentence

T = TypeVar("T")


def is_built_in(cls: type) -> bool:
    """Whether a class is tagxai's own, and not a plugin's or a user's."""
    return cls.__module__.partition(".")[0] == "tagxai"


def call_foreign(what: str, function: Any, *arguments: Any, **named: Any) -> Any:
    """What `function` returns. Raises TagxaiError that begins with `what` for anything that it raises, `SystemExit`,
    `KeyboardInterrupt` and `os._exit` too. The user's own Ctrl-C, also where it is swallowed, and a time limit pass
    through.

    What it prints goes to stderr; what it changes of the process is put back, context variables included.
    """
    with ctrl_c_noticed() as ctrl:
        try:
            with process_state_kept(), printing_to_stderr(), _unable_to_exit():
                found = copy_context().run(function, *arguments, **named)
        except BaseException as error:
            if ctrl.pressed:
                raise KeyboardInterrupt from error
            if getattr(error, "passes_through", False):
                raise
            text = _sentence(error)
            raise TagxaiError(text if text.startswith(what) else f"{what} failed: {text}") from error
        if ctrl.pressed:
            raise KeyboardInterrupt
        return found


def ask_foreign(what: str, function: Any, *arguments: Any, **named: Any) -> Any:
    """As `call_foreign`, but a TagxaiError, which is a sentence for users already, passes as it is."""
    try:
        return call_foreign(what, function, *arguments, **named)
    except TagxaiError as error:
        if isinstance(error.__cause__, TagxaiError):
            raise error.__cause__ from None
        raise


@contextmanager
def exits_named(what: str) -> Iterator[None]:
    """Raises TagxaiError that begins with `what` where the block would end the program; errors pass as they are.

    For code that is called so often, or in so many threads, that nothing else can be put back after it.
    """
    with ctrl_c_noticed() as ctrl, _unable_to_exit():
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if ctrl.pressed:
                raise KeyboardInterrupt from error
            if getattr(error, "passes_through", False):
                raise
            raise TagxaiError(f"{what} failed: {_sentence(error)}") from error
        if ctrl.pressed:
            raise KeyboardInterrupt


@contextmanager
def errors_named(what: str, callers: Collection[Exception] = ()) -> Iterator[None]:
    """As `exits_named`, and plain errors raise TagxaiError, too, but for a lack of memory.

    For calls whose errors no caller acts on. Those among `callers` were raised by functions that it gave: they pass.
    """
    with exits_named(what):
        try:
            yield
        except Exception as error:
            if isinstance(error, TagxaiError) or is_out_of_memory(error) or getattr(error, "passes_through", False):
                raise
            if any(error is each for each in callers):
                raise
            raise TagxaiError(f"{what} failed: {error_sentence(error)}") from error


class _ExitedError(BaseException):
    """Code that calls `os._exit` means to end the process; a plain error could be caught on the way."""


_exiting = threading.Lock()
_refusing: list[Any] = []
"""The real `os._exit`, once for each block that refuses it: blocks of several threads end in any order."""


@contextmanager
def _unable_to_exit() -> Iterator[None]:
    """`os._exit`, which ends a process without a word, raises instead."""

    def refuse(status: int) -> None:
        raise _ExitedError(f"it called os._exit({status})")

    with _exiting:
        _refusing.append(_refusing[0] if _refusing else os._exit)
        os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        with _exiting:
            real = _refusing.pop()
            if not _refusing:
                os._exit = real


@contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Results are all that stdout is for: what other code prints, also from C or a child process, must not mix in."""
    with redirect_stdout(sys.stderr):
        try:
            kept, errors = os.dup(1), sys.__stderr__.fileno() if sys.__stderr__ else 2
            beside = os.dup(errors)
            os.dup2(errors, 1)
        except (OSError, ValueError):  # no such descriptors here, as under some notebooks
            yield
            return
        try:
            yield
        finally:
            for number, own in ((1, kept), (errors, beside)):  # it may have closed them
                with suppress(OSError):
                    os.dup2(own, number)
                os.close(own)


def _sentence(error: BaseException) -> str:
    if isinstance(error, _ExitedError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it tried to end the program (SystemExit: {error.code})"
    if isinstance(error, KeyboardInterrupt):
        return "it raised KeyboardInterrupt, although nobody pressed Ctrl-C"
    return error_sentence(error)
