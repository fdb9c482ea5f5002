"""What belongs to the caller: torch's modes and defaults, and their model's modes. Set for a call, and put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from threading import Lock
from typing import Any, Protocol, runtime_checkable

from tagxai.contract.values import Generation
from tagxai.lazy import torch


@runtime_checkable
class HoldsModels(Protocol):
    """A generator, as far as this module knows it."""

    def modules(self) -> Mapping[str, torch.nn.Module]: ...


_prepared: ContextVar[frozenset[int]] = ContextVar("tagxai_prepared", default=frozenset())
"""The ids of generators in whose neutral state this caller already is."""


@contextmanager
def neutral_state(generator: HoldsModels, *, frozen: bool = False) -> Iterator[None]:
    """`neutral_torch`, with every part of the generator's models in evaluation mode.

    Whether gradients are recorded stays as it is; with `frozen`, none are for the weights.
    """
    with ExitStack() as stack:
        stack.enter_context(neutral_torch())
        if id(generator) not in _prepared.get():  # else an outer call has done it
            stack.enter_context(_evaluation.held(part for model in _models(generator) for part in model.modules()))
            token = _prepared.set(_prepared.get() | {id(generator)})
            stack.callback(_prepared.reset, token)
        if frozen:
            stack.enter_context(_frozen.held(weight for model in _models(generator) for weight in model.parameters()))
        yield


@contextmanager
def neutral_torch() -> Iterator[None]:
    """Outside of inference mode and autocast, with float32 and the CPU as defaults for new tensors.

    Gradients are recorded as before: not, where the caller is in inference mode.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        for device in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(_float32.held())
        yield


def _models(generator: HoldsModels) -> Iterable[torch.nn.Module]:
    return generator.modules().values()


class _Float32Default:
    """The default dtype belongs to the process, so that threads must share the change: the last one puts it back."""

    def __init__(self) -> None:
        self._lock, self._users, self._before = Lock(), 0, "float32"

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._before = str(torch.get_default_dtype()).removeprefix("torch.")
                if self._before != "float32":
                    torch.set_default_dtype(torch.float32)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users and self._before != "float32":
                    torch.set_default_dtype(getattr(torch, self._before))


_float32 = _Float32Default()


class _SwitchedOff:
    """A flag of parts of a model is the same for all threads: the last of those that need it off puts it back on."""

    def __init__(self, flag: str) -> None:
        self._flag, self._lock = flag, Lock()
        self._users: dict[int, tuple[Any, int]] = {}  # by the id of a part whose flag was on

    @contextmanager
    def held(self, parts: Iterable[Any]) -> Iterator[None]:
        mine: list[int] = []
        with self._lock:
            for part in parts:
                users = self._users.get(id(part), (part, 0))[1]
                if getattr(part, self._flag) or users:
                    setattr(part, self._flag, False)
                    self._users[id(part)] = part, users + 1
                    mine.append(id(part))
        try:
            yield
        finally:
            with self._lock:
                for key in mine:
                    part, users = self._users.pop(key)
                    if users > 1:
                        self._users[key] = part, users - 1
                    else:
                        setattr(part, self._flag, True)


_evaluation = _SwitchedOff("training")
_frozen = _SwitchedOff("requires_grad")


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that autograd can keep: one made under `torch.inference_mode` is copied."""
    return tensor.clone() if tensor.is_inference() else tensor


def plain_record(generation: Generation) -> Generation:
    """The clip with `plain` tensors."""
    tensors = [generation.waveform, *generation.record.values()]
    if not any(tensor.is_inference() for tensor in tensors):
        return generation
    record = {name: plain(tensor) for name, tensor in generation.record.items()}
    return replace(generation, record=record, waveform=plain(generation.waveform))
