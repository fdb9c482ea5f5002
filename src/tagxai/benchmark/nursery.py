"""Processes that start at once: copies of one that has loaded PyTorch and the model, and has run nothing else.

A fresh process spends seconds on imports alone. The nursery spends them once; each process that it makes (`os.fork`)
has memory of its own, so what one does reaches neither the nursery nor the next. Copying is safe only while there is
one thread, so a nursery that has more (of CUDA, say, or of macOS) does one job itself, and is replaced for the next.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from tagxai.benchmark.models import ModelSpec
from tagxai.registering.plugins import ONLY

NUMBER = struct.Struct("!i")
"""How a nursery tells a process id, and later the status with which that process ended."""

Serve = Callable[[IO[bytes], IO[bytes]], None]
"""What a process does: a job comes from the first file, and what happens goes to the second."""


class Nursery:
    """One prepared process, and the processes that it makes, one at a time."""

    def __init__(self, model: ModelSpec, serve: str) -> None:
        """`serve` names the function that its processes run, as `module:function`."""
        self.made_for = _surroundings(model, serve)
        self.control, theirs = socket.socketpair()
        module, _, name = serve.partition(":")
        asked = f"{theirs.fileno()}, {name}, {pickle.dumps(model)!r}"
        code = f"from {__name__} import main; from {module} import {name}; main({asked})"
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__ if sys.__stderr__ is not None else subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), ONLY: ""},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for the parent
            )

    def fits(self, model: ModelSpec, serve: str) -> bool:
        return self.process.poll() is None and self.made_for == _surroundings(model, serve)

    def start(self) -> Forked:
        """A new process. Raises OSError where the nursery has ended."""
        given, stdin = os.pipe()
        stdout, said = os.pipe()
        try:
            socket.send_fds(self.control, [b"+"], [given, said])
            pid = self.number()
        except OSError:
            pid = None
        finally:
            os.close(given)
            os.close(said)
        made = Forked(self, pid or 0, os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"))
        if pid is None:
            made.stdin.close()
            made.stdout.close()
            raise OSError("the nursery has ended")
        return made

    def number(self) -> int | None:
        """The next number that it tells; None once it has ended."""
        with suppress(OSError):
            found = self.control.recv(NUMBER.size, socket.MSG_WAITALL)
            if len(found) == NUMBER.size:
                return int(NUMBER.unpack(found)[0])
        return None

    def close(self) -> None:
        self.control.close()
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Forked:
    """A process of a nursery, with the part of Popen's interface that its parent uses."""

    def __init__(self, nursery: Nursery, pid: int, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.nursery, self.pid, self.stdin, self.stdout = nursery, pid, stdin, stdout
        self.status: int | None = None

    def wait(self) -> int:
        """Its exit status, negative for a signal, once it has ended."""
        if self.status is None:
            status = self.nursery.number()
            if status is None:  # the nursery did the job itself, or something has killed it
                with suppress(subprocess.TimeoutExpired):
                    self.nursery.process.wait(1.0)
                self.kill()
                status = self.nursery.process.wait()
            self.status = status
        return self.status

    def kill(self) -> None:
        for end in (os.killpg, os.kill):  # a process that has only just begun has no group yet
            with suppress(OSError):
                end(self.pid, signal.SIGKILL)


_kept: list[Nursery] = []


def start(model: ModelSpec, serve: str) -> Forked:
    """A new process that runs `serve`, from the nursery of this model, which is made where there is none."""
    if not _kept or not _kept[0].fits(model, serve):
        close()
        _kept.append(Nursery(model, serve))
    try:
        return _kept[0].start()
    except OSError:  # it was killed between two jobs
        close()
        _kept.append(Nursery(model, serve))
        return _kept[0].start()


def close() -> None:
    """End the nursery of this process."""
    while _kept:
        _kept.pop().close()


def _surroundings(model: ModelSpec, serve: str) -> Any:
    """What its processes have from their start."""
    return model, serve, tuple(sys.path), dict(os.environ), os.getcwd()


def main(control_fd: int, serve: Serve, model: bytes) -> None:
    """The nursery itself."""
    control = socket.socket(fileno=control_fd)
    _prepare(pickle.loads(model))
    while True:
        word, fds, _, _ = socket.recv_fds(control, 1, 2)
        if not word:
            return
        alone = not _may_fork()
        pid = os.getpid() if alone else os.fork()
        if alone:
            control.sendall(NUMBER.pack(pid))
        if alone or pid == 0:
            if not alone:
                os.setsid()
            control.close()
            with os.fdopen(fds[0], "rb") as given, os.fdopen(fds[1], "wb") as said:
                serve(given, said)
            os._exit(0)
        for fd in fds:
            os.close(fd)
        try:
            control.sendall(NUMBER.pack(pid))
            control.sendall(NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
        except OSError:  # nobody is there to hear it
            return


def _prepare(model: ModelSpec) -> None:
    """Load what every process needs. A model of a plugin is left to them: a nursery runs no code from outside."""
    import gc

    import torch  # noqa: F401

    from tagxai.registering.registry import registry

    with suppress(Exception):  # who needs the model meets the error again, and can tell it
        model.load()
    registry.cache_clear()  # each process has plugins of its own
    gc.freeze()  # what is here for good need not be copied for counting


def _may_fork() -> bool:
    return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1
