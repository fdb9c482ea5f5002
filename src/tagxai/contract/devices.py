"""Devices by name, checked before anything is loaded."""

from __future__ import annotations

import warnings

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.lazy import torch

DTYPES = ("float32", "bfloat16", "float16", "float64")
"""Those that a generator may be asked to compute in."""

_CHOICES = ("cpu", "cuda", "cuda:N", "mps", "sharded")


def check_device(device: str) -> None:
    """Raises TagxaiError for a device that torch cannot use here, and says why."""
    if device == "sharded":  # over all that accelerate finds
        return
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise UnknownNameError("device", str(device), _CHOICES) from None
    if wanted.type not in ("cpu", "cuda", "mps"):
        raise UnknownNameError("device", str(device), _CHOICES)
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise TagxaiError("this machine has no mps device that torch can use; use --device cpu")
    if wanted.type == "cuda":
        _check_cuda(wanted.index)


def _check_cuda(index: int | None) -> None:
    with warnings.catch_warnings(action="ignore"):  # torch describes the driver at length
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        built_for = torch.version.cuda or torch.version.hip
        reason = (
            f"it finds no GPU, or no driver that is new enough for {built_for}"
            if built_for
            else "it was installed without support for GPUs"
        )
        raise TagxaiError(f"this machine has no cuda device that torch can use ({reason}); use --device cpu")
    if index is not None and index >= count:
        raise TagxaiError(f"there is no device 'cuda:{index}': torch finds {count}, from cuda:0 to cuda:{count - 1}")


def check_dtype(dtype: str) -> None:
    """Raises UnknownNameError."""
    if dtype not in DTYPES:
        raise UnknownNameError("dtype", str(dtype), DTYPES)
