"""The end of a command, without the half second of CPU time in which Python takes every object of torch down."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from typing import NoReturn


def leave(ended: SystemExit) -> NoReturn:
    """End the process with the status of `ended`, once all that is written and all that was registered is done.

    What Python would do besides is to free memory, object by object, and that ends with the process anyway. Where
    threads are still at work, or the streams cannot be written, Python ends in its own way.
    """
    gc.freeze()  # Python's own way begins with a search for garbage, in all that was imported
    others = [each for each in threading.enumerate() if each is not threading.current_thread() and not each.daemon]
    if others or not (ended.code is None or isinstance(ended.code, int)):
        raise ended
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        raise ended from None
    os._exit(ended.code or 0)
