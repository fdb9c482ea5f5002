"""The user's Ctrl-C, distinguished from a KeyboardInterrupt that other code raises by itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Ctrl:
    """Whether Ctrl-C was pressed inside a block."""

    pressed = False


@contextmanager
def ctrl_c_noticed() -> Iterator[Ctrl]:
    """Notices an interrupt signal, and does what it did before. It only reaches the main thread of a process."""
    ctrl = Ctrl()
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(before):  # ignored, or left to the system, which ends the process
        yield ctrl
        return

    def handler(number: int, frame: Any) -> Any:
        ctrl.pressed = True
        return before(number, frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield ctrl
    finally:
        signal.signal(signal.SIGINT, before)
