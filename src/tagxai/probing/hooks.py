"""Hooks on modules that act in the calls of whoever installed them, and in no other thread's or task's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tagxai.lazy import torch

_mine: ContextVar[frozenset[object]] = ContextVar("tagxai_hooks", default=frozenset())


@contextmanager
def hook_before(module: torch.nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """`hook(module, arguments)` before each of this context's calls of `module`."""
    with _own(hook) as own:
        handle = module.register_forward_pre_hook(own)
        try:
            yield
        finally:
            handle.remove()


@contextmanager
def hook_after(module: torch.nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """`hook(module, arguments, options, output)` after each of this context's calls of `module`."""
    with _own(hook) as own:
        handle = module.register_forward_hook(own, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()


@contextmanager
def _own(hook: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    key = object()

    def act(*given: Any) -> Any:  # a hook that is removed during another thread's call may miss its options
        return hook(*given) if key in _mine.get() else None

    _mine.set(_mine.get() | {key})
    try:
        yield act
    finally:
        _mine.set(_mine.get() - {key})
