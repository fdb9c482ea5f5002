"""Devices by name, checked before anything is loaded."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.lazy import torch

DTYPES = ("float32", "bfloat16", "float16", "float64")
"""Those that a generator may be asked to compute in."""

DEVICES = ("cpu", "cuda", "cuda:0", "mps", "sharded")


def check_device_name(device: object, choices: Sequence[str] = DEVICES) -> None:
    """Raises UnknownNameError for anything but the name of a device, whether or not this machine has it."""
    known = isinstance(device, str) and (device in choices or re.fullmatch(r"(cpu|cuda|mps):\d{1,3}", device))
    if not known:
        raise UnknownNameError("device", str(device), choices)


def check_device(device: str) -> None:
    """Raises TagxaiError for a device that torch cannot use here, and says why."""
    check_device_name(device)
    if device == "sharded":  # over all that accelerate finds
        return
    wanted = torch.device(device)
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise TagxaiError("this machine has no mps device that torch can use; use --device cpu")
    if wanted.type == "cuda":
        _check_cuda(wanted.index)


def _check_cuda(index: int | None) -> None:
    with warnings.catch_warnings(action="ignore"):  # torch describes the driver at length
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise TagxaiError(f"there is no cuda device that torch can use: {_why_no_cuda()}; use --device cpu")
    if index is not None and index >= count:
        raise TagxaiError(f"there is no device 'cuda:{index}': torch finds {count}, from cuda:0 to cuda:{count - 1}")


def _why_no_cuda() -> str:
    """By what torch is built for, and by what it answers when it is asked to start."""
    if torch.version.hip:
        return f"this torch is built for ROCm {torch.version.hip}, and finds no GPU"
    if not torch.version.cuda:
        return "this torch was installed without support for GPUs"
    built = f"this torch is built for CUDA {torch.version.cuda}, and"
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.cuda.init()
    except Exception as error:
        if "no NVIDIA driver" in str(error):
            return f"{built} this machine has no NVIDIA driver"
        if "too old" in str(error):
            return f"{built} this machine's NVIDIA driver is older than that needs"
    return f"{built} finds no GPU"


def check_dtype(dtype: str) -> None:
    """Raises UnknownNameError."""
    if dtype not in DTYPES:
        raise UnknownNameError("dtype", str(dtype), DTYPES)
