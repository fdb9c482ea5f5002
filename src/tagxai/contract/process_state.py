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
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from tagxai.contract.process_names import names_of_process


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
    names = names_of_process()
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
    yield _Setting(_umask, os.umask)
    yield _Setting(sys.gettrace, sys.settrace)
    yield _Setting(sys.getprofile, sys.setprofile)
    yield _Setting(lambda: list(warnings.filters), _put_filters)
    yield _Setting(lambda: list(sys.path), lambda before: _put_first(sys.path, before))
    yield _Setting(lambda: list(sys.meta_path), lambda before: _put_first(sys.meta_path, before))
    yield _Setting(lambda: dict(sys.modules), _put_modules)
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
    yield _Setting(lambda: _flushes_denormals(torch), torch.set_flush_denormal)
    kernels = torch.backends.cuda
    for kind in ("flash", "mem_efficient", "math"):  # of attention, also on the CPU
        yield _Setting(getattr(kernels, f"{kind}_sdp_enabled"), getattr(kernels, f"enable_{kind}_sdp"))
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


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


def _put_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _put_first(listed: list[Any], before: list[Any]) -> None:
    """What was there comes first again; what was added is found by its own names only."""
    listed[:] = [*before, *(each for each in listed if each not in before)]


def _put_modules(before: Mapping[str, Any]) -> None:
    for name in [name for name, module in sys.modules.items() if name not in before and _is_false(name, module)]:
        del sys.modules[name]
    sys.modules.update(before)


def _is_false(name: str, module: Any) -> bool:
    """Whether something else stands for a module of tagxai's own."""
    return name.partition(".")[0] == "tagxai" and getattr(module, "__name__", None) != name


def _flushes_denormals(torch: Any) -> bool:
    return bool((torch.full((), 1e-40, dtype=torch.float32, device="cpu") * 1).item() == 0)


def _same(now: Any, before: Any) -> bool:
    if type(now) is not type(before):
        return False
    if isinstance(now, (tuple, list)):
        return len(now) == len(before) and all(map(_same, now, before))
    if hasattr(now, "numpy") or hasattr(now, "shape"):  # tensors and arrays
        return bool((now == before).all())
    return bool(now == before)
