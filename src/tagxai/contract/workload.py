"""The sizes that decide how much memory a pass takes, and how much memory is free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tagxai.contract.generator import Generator
from tagxai.contract.identity import plain_parts
from tagxai.contract.values import Conditioning
from tagxai.lazy import torch

MARGIN = 2.0


ROWS_AT_ONCE = 4096
"""Decoder positions in one batch; small enough for a laptop, large enough to fill it."""


QUERIES = 64
"""Queries whose attention is computed at a time where no fused kernel does it: weights for all of them would grow with
the square of the clip, and would not stay in a processor's cache."""


_SYSTEM, _CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


_FLOAT32 = 4


@dataclass(frozen=True)
class Workload:
    """The sizes that decide how much memory a pass takes; what its functions give are bytes."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    positions: int
    tokens: int
    element: int
    """Bytes of a number in the decoder's matrices and their products; what is summed over layers has float32."""

    @classmethod
    def of(cls, generator: Generator, positions: int, conditioning: Conditioning) -> Workload:
        tokens, width = conditioning.embeddings.shape[1:]
        sites = generator.attention_sites()
        levels = sites[0].levels if sites else 1
        return cls(
            # where attention is not offered, no more layers than all weights would make
            layers=len({site.layer for site in sites}) or max(1, stored_bytes(generator) // (64 * width**2)),
            width=width,
            heads=sites[0].heads // levels if sites else max(1, width // 64),
            vocabulary=getattr(generator, "pad", 2048),
            positions=positions * levels,
            tokens=tokens,
            element=getattr(generator, "dtype", conditioning.embeddings.dtype).itemsize,
        )

    @property
    def batch(self) -> int:
        """Rows that scoring runs at once, where memory allows."""
        return max(1, ROWS_AT_ONCE // self.positions)

    def streaming(self) -> int:
        """The keys and values of both halves of guidance."""
        return 2 * 2 * self.layers * (self.positions + self.tokens) * self.width * self.element

    def forward(self, rows: int) -> int:
        """A pass that keeps nothing: its largest layer, or the logits of one codebook."""
        layer = 4 * self.width * _FLOAT32 + (8 * self.width + 3 * self.heads * self.tokens) * self.element
        logits = 3 * self.vocabulary * _FLOAT32
        return rows * self.positions * max(layer, logits)

    def backward(self, rows: int) -> int:
        """A pass that keeps what gradients with respect to its input need, of every layer."""
        layer = 3 * self.width * _FLOAT32 + (9 * self.width + 3 * self.heads * self.tokens) * self.element
        return rows * self.positions * self.layers * layer + self.forward(rows)

    def tangents(self, directions: int) -> int:
        """Forward mode, a batch at a time: a tangent beside each tensor, and plain attention, which holds the weights
        of some queries at a time."""
        rows, queries = min(directions, self.batch), min(QUERIES, self.positions)
        return 2 * self.forward(rows) + 4 * rows * self.heads * queries * self.positions * self.element


def stored_bytes(generator: Generator) -> int:
    """Bytes of the models that a generator holds."""
    models = generator.modules().values()
    tensors = {id(tensor): tensor for model in models for tensor in (*model.parameters(), *model.buffers())}
    stored = (part for tensor in tensors.values() for part in plain_parts("", tensor).values())
    return sum(t.numel() * t.element_size() for t in stored if t.device.type != "meta")  # meta: offloaded


def free(device: torch.device) -> int | None:
    """What this process may still take on a device; None where that is unknown."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type != "cpu" or not _SYSTEM.is_file():
        return None
    available = re.search(r"^MemAvailable:\s+(\d+) kB", _SYSTEM.read_text(), re.MULTILINE)
    left = [int(available[1]) * 1024] if available else []
    try:  # a container has a limit of its own, against which the files that it has read count too
        limit, used = (int((_CONTAINER / f"memory.{name}").read_text()) for name in ("max", "current"))
        files = re.search(r"^inactive_file (\d+)", (_CONTAINER / "memory.stat").read_text(), re.MULTILINE)
        left.append(limit - used + (int(files[1]) if files else 0))
    except (OSError, ValueError):  # none, or "max"
        pass
    return max(0, min(left)) if left else None
