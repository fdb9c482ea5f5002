"""What belongs to the whole process, and is put back after somebody else's code has run.

That code may change the default dtype, the working directory or the random numbers, and even replace functions. All
that runs after it would then silently give other results, or write them elsewhere.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple


class _Setting(NamedTuple):
    """One thing that a process has once: how it is read, and how it is set."""

    get: Callable[[], Any]
    put: Callable[[Any], Any]


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Whatever the block changes of the process is put back: settings of Python, NumPy and PyTorch, and replaced
    functions and constants of tagxai, of the standard library's most used modules, and of PyTorch."""
    settings = [(setting, setting.get()) for setting in _settings()]
    had_torch = "torch" in sys.modules
    names = [_Names(*owner) for owner in _owners()]
    try:
        yield
    finally:
        for each in names:
            each.restore()
        for setting, before in settings:
            if not _same(setting.get(), before):
                setting.put(before)
        if not had_torch and "torch" in sys.modules:
            _torch_as_new(sys.modules["torch"])


def _settings() -> Iterator[_Setting]:
    yield _Setting(_directory, _go_back)
    yield _Setting(lambda: dict(os.environ), _put_environment)
    yield _Setting(random.getstate, random.setstate)
    yield _Setting(sys.getrecursionlimit, sys.setrecursionlimit)
    yield _Setting(lambda: (sys.stdout, sys.stderr, sys.excepthook), _put_streams)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else [])):
            yield _Setting(lambda n=number: signal.getsignal(n), lambda handler, n=number: signal.signal(n, handler))  # type: ignore[misc]
    if numpy := sys.modules.get("numpy"):
        yield _Setting(numpy.random.get_state, numpy.random.set_state)
        yield _Setting(numpy.geterr, lambda kinds: numpy.seterr(**kinds))
    if torch := sys.modules.get("torch"):
        yield from _settings_of_torch(torch)


def _settings_of_torch(torch: Any) -> Iterator[_Setting]:
    yield _Setting(torch.get_default_dtype, torch.set_default_dtype)
    yield _Setting(torch.get_num_threads, torch.set_num_threads)
    yield _Setting(torch.get_rng_state, torch.set_rng_state)
    yield _Setting(torch.is_grad_enabled, torch._C._set_grad_enabled)
    yield _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
    yield _Setting(
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda state: torch.use_deterministic_algorithms(state[0], warn_only=state[1]),
    )
    cpu = torch.device("cpu")
    yield _Setting(torch.get_default_device, lambda device: torch.set_default_device(None if device == cpu else device))
    yield _Setting(lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on))
    yield _Setting(lambda: torch._C._get_mkldnn_enabled(), lambda on: torch._C._set_mkldnn_enabled(on))
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        yield _Setting(torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)
        yield _Setting(lambda: torch.is_autocast_enabled("cuda"), lambda on: torch.set_autocast_enabled("cuda", on))


def _torch_as_new(torch: Any) -> None:
    """PyTorch was imported inside the block: these are what it starts with."""
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch._C._set_grad_enabled(True)


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return None


def _go_back(path: str | None) -> None:
    if path is not None:
        os.chdir(path)


def _put_environment(before: Mapping[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _put_streams(before: tuple[Any, Any, Any]) -> None:
    sys.stdout, sys.stderr, sys.excepthook = before


def _same(now: Any, before: Any) -> bool:
    if type(now) is not type(before):
        return False
    if isinstance(now, (tuple, list)):
        return len(now) == len(before) and all(map(_same, now, before))
    if hasattr(now, "numpy") or hasattr(now, "shape"):  # tensors and arrays
        return bool((now == before).all())
    return bool(now == before)


_STANDARD = ("builtins", "math", "random", "os", "json", "time", "copy", "functools", "itertools", "statistics")
_OTHERS = ("numpy", "numpy.random", "torch", "torch.nn.functional", "torch.random", "torch.linalg", "torch.fft")
_CONTAINERS = (dict, list, set)


def _owners() -> Iterator[tuple[Any, bool]]:
    """The modules and classes whose names are watched, and whether they are tagxai's own."""
    for name in (*_STANDARD, *_OTHERS):
        if name in sys.modules:
            yield sys.modules[name], False
    if torch := sys.modules.get("torch"):
        yield from ((each, False) for each in (torch.Tensor, torch.nn.Module, torch.nn.Linear))
    for name, module in list(sys.modules.items()):
        if module is not None and name.partition(".")[0] == "tagxai":
            yield module, True
            classes = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == name]
            yield from ((each, True) for each in classes)


class _Names:
    """The names of a module or class; of tagxai's own also the private ones, and the contents of tables and lists."""

    def __init__(self, owner: Any, ours: bool) -> None:
        self.owner, self.ours = owner, ours
        hidden = "__" if ours else "_"
        self.before = {name: value for name, value in vars(owner).items() if not name.startswith(hidden)}
        self.contents = {
            name: value.copy() for name, value in self.before.items() if ours and type(value) in _CONTAINERS
        }

    def restore(self) -> None:
        now = vars(self.owner)
        for name, value in self.before.items():
            if now.get(name, _MISSING) is not value:
                setattr(self.owner, name, value)
        if self.ours and not isinstance(self.owner, ModuleType):  # a module may load others, a class gains nothing
            for name in [name for name in now if name not in self.before and not name.startswith(("__", "_abc"))]:
                delattr(self.owner, name)
        for name, content in self.contents.items():
            _refill(self.before[name], content)


_MISSING = object()


def _refill(container: Any, content: Any) -> None:
    """The same object with its earlier content, where that differs."""
    if isinstance(container, dict):
        if container.keys() != content.keys() or any(container[key] is not content[key] for key in content):
            container.clear()
            container.update(content)
    elif isinstance(container, list):
        if len(container) != len(content) or any(a is not b for a, b in zip(container, content, strict=True)):
            container[:] = content
    elif container != content:
        container.clear()
        container.update(content)
