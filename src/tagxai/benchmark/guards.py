"""What keeps one method from spoiling another's cells: its own random numbers, a time limit, an unchanged model."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from tagxai.contract.attention import edit_attention, installed_edits
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.lazy import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """All global random numbers of the block come from `seed`, whatever ran before; the states outside are kept.

    Methods should not draw from them. Those that do give the same result when a run is resumed.
    """
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


class _Late(BaseException):
    """Not an Exception: what catches all of these must not go on."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raises TagxaiError where the block takes longer. By a signal: only in a main thread, and not on Windows."""
    if seconds is None:
        yield
        return
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        raise TagxaiError("a time limit needs the main thread of a process, and not Windows; take --executor processes")

    running = True

    def late(*_: Any) -> None:
        if running:
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


class Sentinel:
    """Notices what a method leaves behind in the model: hooks, edits, weights or modes that change its output."""

    def __init__(self, generator: Generator, clip: Generation) -> None:
        self.generator, self.clip = generator, clip
        self.outputs, self.modules, self.blocks = self._outputs(), self._modules(), installed_edits()
        self.hooks = [dict(hooks) for hooks in _hooks_of_all_modules()]

    def check(self, *, outputs: bool = True) -> None:
        """Raises TagxaiError. Without `outputs`, which takes a pass, only what can be seen on the modules counts."""
        hooks = [dict(hooks) for hooks in _hooks_of_all_modules()]
        if self._modules() != self.modules or installed_edits() != self.blocks or hooks != self.hooks:
            raise TagxaiError("it left hooks, gradients or another mode behind in the model")
        if outputs and not torch.allclose(self._outputs(), self.outputs, atol=1e-3, rtol=1e-3):
            raise TagxaiError("it left something behind that changes the model's output")

    def clear(self) -> None:
        """Take away what loading the model again leaves: hooks of all modules of PyTorch."""
        for hooks, before in zip(_hooks_of_all_modules(), self.hooks, strict=True):
            for name in hooks.keys() - before.keys():
                del hooks[name]

    @torch.no_grad()
    def _outputs(self) -> torch.Tensor:
        """Of a pass that looks at attention, where edits may sleep until hooks are in use."""
        sites = self.generator.attention_sites()
        with edit_attention(sites, lambda site, weights: None):
            return self.generator.forward(self.clip).log_prob

    def _modules(self) -> list[tuple[int, int, int, int, bool]]:
        return [
            (
                len(part._forward_hooks),
                len(part._forward_pre_hooks),
                len(part._backward_hooks),
                len(part._backward_pre_hooks),
                part.training or any(weight.requires_grad for weight in part.parameters(recurse=False)),
            )
            for model in held(self.generator).values()
            if isinstance(model, torch.nn.Module)
            for part in model.modules()
        ]


def _hooks_of_all_modules() -> list[dict[int, Any]]:
    """The hooks of `torch.nn.modules.module.register_module_...`, which PyTorch itself shows nowhere."""
    kinds = ("forward", "forward_pre", "backward", "backward_pre")
    return [getattr(torch.nn.modules.module, f"_global_{kind}_hooks") for kind in kinds]


def held(generator: Generator) -> dict[str, Any]:
    """The attributes of a generator but those that are made when they are first used."""
    made = {
        name
        for cls in type(generator).__mro__
        for name, value in vars(cls).items()
        if isinstance(value, cached_property)
    }
    return {name: value for name, value in sorted(vars(generator).items()) if name not in made}
