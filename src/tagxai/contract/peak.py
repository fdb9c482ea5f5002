"""How much memory this process has taken at its peak."""

from __future__ import annotations

import sys

from tagxai.lazy import torch


def peak_memory() -> int:
    """Bytes at the peak of this process's GPU memory where it has used one, else of the process; 0 where unknown."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # on Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
