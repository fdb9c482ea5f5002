"""The checks of `gpu.py`, in their order: each returns its figures, and raises where something does not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu_costs import compiling, no_waiting, stages, throughput
from gpu_same import devices_and_dtypes, hooks_and_batches, latents, methods_agree
from gpu_setting import Setting

CHECKS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "devices and dtypes": devices_and_dtypes,
    "every method": methods_agree,
    "latents": latents,
    "hooks and batches": hooks_and_batches,
    "throughput": throughput,
    "stages": stages,
    "no waiting for the host": no_waiting,
    "compiling": compiling,
}
