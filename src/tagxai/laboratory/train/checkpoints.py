"""Training checkpoints that survive a kill at any moment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def save(values: Mapping[str, Any], path: Path) -> None:
    """Write a training checkpoint so that a kill at any moment leaves the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(dict(values), partial)
    os.replace(partial, path)


def load(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None
