"""Numbers that are not finite, found where they arise and named with their cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tagxai.contract.attention import installed_edits
from tagxai.contract.values import Conditioning, Generation, StepOutput
from tagxai.errors import TagxaiError
from tagxai.lazy import torch


def check_weights(generator: Any) -> None:
    """Raises TagxaiError naming the first weight that is not finite."""
    if broken := _broken_weight(generator):
        raise TagxaiError(f"generator {generator.name!r} cannot use its weights: {broken}")


def check_found(generator: Any, found: Any, what: str) -> None:
    """Raises TagxaiError where something in what a generator computed is not finite. `what` names a plain tensor."""
    if isinstance(found, list):
        if all(isinstance(each, torch.Tensor) for each in found) and is_finite(*found):
            return
        for each in found:
            check_found(generator, each, what)
    named = {
        StepOutput: lambda: {"hidden states": found.hidden, "log-probabilities": found.log_prob},
        Conditioning: lambda: {"embeddings of the prompt": found.embeddings},
        Generation: lambda: {"audio samples": found.waveform},
    }.get(type(found), lambda: {what: found} if isinstance(found, torch.Tensor) else {})
    for name, tensor in named().items():
        if not is_finite(tensor):
            raise not_finite(generator, name)


def is_finite(*tensors: torch.Tensor) -> bool:
    """Whether all numbers are; the host waits once for each device. Inside `torch.func.vmap`, which answers no such
    question: true."""
    by_device: dict[torch.device, list[torch.Tensor]] = {}
    for tensor in tensors:
        by_device.setdefault(tensor.device, []).append(tensor)
    return all(_are_finite(alike) for alike in by_device.values())


def _are_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether all numbers of some tensors, which are on one device, are finite; the host waits once."""
    try:
        return bool(torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all())
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return True


class FiniteSteps:
    """Whether the steps of a loop are finite: asked at once on a CPU, and elsewhere so rarely that the host hardly
    waits for the device."""

    EVERY = 32

    def __init__(self, generator: Any, what: str) -> None:
        self._generator, self._what = generator, what
        self._at_once = generator.device.type == "cpu"
        self._unasked: list[tuple[int, torch.Tensor]] = []

    def see(self, tensor: torch.Tensor, step: int) -> None:
        """Raises TagxaiError for this step, or for one of the last `EVERY`."""
        self._unasked.append((step, torch.isfinite(tensor).all()))
        if self._at_once or len(self._unasked) == self.EVERY:
            self.check()

    def check(self) -> None:
        """Raises TagxaiError for the first step seen whose numbers are not finite."""
        if self._unasked:
            steps, finite = zip(*self._unasked, strict=True)
            self._unasked.clear()
            for step, found in zip(steps, torch.stack(finite).tolist(), strict=True):
                if not found:
                    raise not_finite(self._generator, f"{self._what} at step {step}")


def not_finite(generator: Any, what: str) -> TagxaiError:
    """What to raise where numbers have overflowed, or the weights are broken."""
    dtype = str(getattr(generator, "dtype", torch.float32)).removeprefix("torch.")
    if broken := _broken_weight(generator):
        cause = broken
    elif dtype == "float16":
        cause = "float16 holds no number above 65504: use --dtype bfloat16 or float32"
    elif installed_edits():
        cause = "the attention edits in use may be the cause, as its weights are finite"
    else:
        cause = "its weights are finite, but too large, or what it was given is"
    return TagxaiError(f"generator {generator.name!r} computed {what} that are not finite in {dtype}; {cause}")


def _broken_weight(generator: Any) -> str | None:
    for model in generator.modules().values():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or not tensor.is_floating_point():
                continue  # quantised
            if tensor.device.type == "meta" or not tensor.numel():
                continue  # offloaded
            low, high = (bound.item() for bound in tensor.detach().aminmax())
            if low != low:
                return f"{name!r} holds NaN, so its checkpoint is damaged"
            if tensor.dtype == torch.float16 and max(abs(low), abs(high)) == float("inf"):
                return f"{name!r} holds infinity; if its checkpoint is whole, --dtype bfloat16 can hold it"
            if max(abs(low), abs(high)) == float("inf"):
                return f"{name!r} holds infinity, so its checkpoint is damaged"
    return None
