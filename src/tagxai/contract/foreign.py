"""Code from outside tagxai: whatever it does, its caller gets its result or one sentence, and nothing else changes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import copy_context
from typing import Any, TypeVar

from tagxai.contract.interrupts import ctrl_c_noticed
from tagxai.contract.process_state import process_state_kept
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
            with process_state_kept(), _printing_to_stderr(), _unable_to_exit():
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


class _ExitedError(BaseException):
    """Code that calls `os._exit` means to end the process; a plain error could be caught on the way."""


@contextmanager
def _unable_to_exit() -> Iterator[None]:
    """`os._exit`, which ends a process without a word, raises instead."""
    real = os._exit

    def refuse(status: int) -> None:
        raise _ExitedError(f"it called os._exit({status})")

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = real


@contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """Results are all that stdout is for: what other code prints, also from C or a child process, must not mix in."""
    with redirect_stdout(sys.stderr):
        try:
            kept, target = os.dup(1), sys.__stderr__.fileno() if sys.__stderr__ else 2
            os.dup2(target, 1)
        except (OSError, ValueError):  # no such descriptors here, as under some notebooks
            yield
            return
        try:
            yield
        finally:
            with suppress(OSError):
                os.dup2(kept, 1)
            os.close(kept)


def _sentence(error: BaseException) -> str:
    if isinstance(error, _ExitedError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it tried to end the program (SystemExit: {error.code})"
    if isinstance(error, KeyboardInterrupt):
        return "it raised KeyboardInterrupt, although nobody pressed Ctrl-C"
    try:
        return error_sentence(error)
    except Exception:  # its text may be code, too
        return type(error).__name__
