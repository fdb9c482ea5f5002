"""What belongs to the caller: gradient mode, default dtype, evaluation mode. Set for a call, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.lazy import torch


@contextmanager
def neutral_state(generator: Generator) -> Iterator[None]:
    """Outside of inference mode, with float32 as the default dtype, and with every model in evaluation mode."""
    with torch.inference_mode(False), _float32.held(), _evaluation.held(generator):
        yield


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


class _Evaluating:
    """A part's mode is the same for all threads: the last of those that need it in evaluation mode puts it back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users: dict[int, tuple[torch.nn.Module, int]] = {}  # by the id of a part that was in training mode

    @contextmanager
    def held(self, generator: Generator) -> Iterator[None]:
        mine: list[int] = []
        with self._lock:
            for model in generator.modules().values():
                for part in model.modules():
                    users = self._users.get(id(part), (part, 0))[1]
                    if part.training or users:
                        part.training = False
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
                        part.training = True


_evaluation = _Evaluating()


def plain_record(generation: Generation) -> Generation:
    """The clip with tensors that autograd can keep: those made under `torch.inference_mode` are copied."""
    tensors = [generation.waveform, *generation.record.values()]
    if not any(tensor.is_inference() for tensor in tensors):
        return generation
    record = {name: tensor.clone() for name, tensor in generation.record.items()}
    return replace(generation, record=record, waveform=generation.waveform.clone())
