"""Tensors and JSON in one safetensors file, with a checksum over both and the key that the file was written under."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.benchmark.clip_spec import content_key
from tagxai.lazy import torch
from tagxai.scoring.cache import digest


def write_sealed(path: Path, key: str, content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Raises TagxaiError for content that JSON cannot hold."""
    storage.check_json("the result", content)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**content, "name": key}, allow_nan=False)
    storage.write_bytes(path, storage.encoded_tensors(tensors, {"content": text, "sha256": _seal(text, tensors)}))


def read_sealed(path: Path, key: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
    """What was written; None where the file is missing, damaged or was written under another key."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        whole = metadata["sha256"] == _seal(metadata["content"], tensors)
    except (SafetensorError, OSError, KeyError, TypeError):
        return None
    if not whole:
        return None
    content = json.loads(metadata["content"])
    return (content, tensors) if content.pop("name", key) == key else None


def _seal(text: str, tensors: Mapping[str, torch.Tensor]) -> str:
    return content_key({"content": text, "tensors": {name: digest(tensor) for name, tensor in tensors.items()}})
