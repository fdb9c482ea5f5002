"""What keeps one method from spoiling another's cells: a time limit, and an error that names what failed."""

from __future__ import annotations

import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tagxai.errors import NotApplicableError, TagxaiError, error_sentence


@contextmanager
def blaming(what: str, limit: float | None = None) -> Iterator[None]:
    """Whatever goes wrong in the block becomes a TagxaiError of one sentence that begins with `what`.

    What does not apply remains a NotApplicableError. `limit` is a time limit in seconds.
    """
    try:
        with time_limit(limit):
            yield
    except NotApplicableError as error:
        text = error_sentence(error)
        raise NotApplicableError(text if text.startswith(what) else f"{what} does not apply: {text}") from error
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        text = error_sentence(error)
        raise TagxaiError(text if text.startswith(what) else f"{what} failed: {text}") from error


class _Late(BaseException):
    """Not an Exception, so that a method that catches every Exception cannot swallow it."""

    passes_through = True  # `call_foreign` leaves it to the block that set the limit


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raises TagxaiError where the block takes longer. By a signal: only in a main thread, and not on Windows."""
    if seconds is None:
        yield
        return
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        raise TagxaiError("a time limit needs the main thread of a process, and not Windows; take --executor processes")

    running = True

    def late(_: int, frame: FrameType | None) -> None:
        if running and not _is_ignored_in(frame):
            raise _Late

    before = signal.signal(signal.SIGALRM, late)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second, should the first be swallowed
        try:
            yield
        finally:
            running = False
    except _Late:
        raise TagxaiError(f"it took longer than the limit of {seconds:g} s") from None
    finally:
        running = False  # an alarm that comes now must not keep the timer from being stopped
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_ignored_in(frame: FrameType | None) -> bool:
    """Whether Python would print what is raised here and go on: in a finaliser, and as a weak reference is cleared. The
    next alarm is a second away."""
    return frame is not None and (frame.f_code.co_name == "__del__" or frame.f_code.co_filename == weakref.__file__)
