"""How often, and where, the host waits for the device: what keeps a GPU idle between the steps of a loop."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

READS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "item")
"""Operations that give the host a number that the device has computed."""


@contextmanager
def host_waits(device: str) -> Iterator[Counter[str]]:
    """Counts, by "package/file:line", how often the host waits while it runs.

    On CUDA by torch's own mode for finding synchronisation. On a CPU, where none exists, by the operations that would
    wait on a GPU; copies to the device, which wait as well, go unseen there.
    """
    found: Counter[str] = Counter()
    if device == "cuda":
        import torch

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield found
            finally:
                torch.cuda.set_sync_debug_mode("default")
        found.update(f"{_short(each.filename)}:{each.lineno}" for each in caught if "synchroniz" in str(each.message))
    else:
        with _reads(found):
            yield found


def of_tagxai(waits: Counter[str]) -> Counter[str]:
    """Those of tagxai's own lines; what libraries do is not ours to change."""
    return Counter({place: number for place, number in waits.items() if place.startswith("tagxai/")})


def _short(file: str) -> str:
    parts = Path(file).parts
    packages = [place for place, part in enumerate(parts) if part in ("tagxai", "transformers", "diffusers", "torch")]
    return "/".join(parts[packages[-1] :] if packages else parts[-2:])


def _is_torch(code: CodeType) -> bool:
    return "torch" in Path(code.co_filename).parts or code.co_name == "__torch_function__"


def _reads(found: Counter[str]) -> Any:
    """A mode that counts the operations of `READS`, by the innermost line outside torch."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Reads(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.overloadpacket.__name__ in READS:
                frame = sys._getframe(1)
                while frame.f_back is not None and _is_torch(frame.f_code):
                    frame = frame.f_back
                found[f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"] += 1
            return func(*args, **(kwargs or {}))

    return Reads()
