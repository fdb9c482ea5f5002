"""What a model is: checksums of all that decides its results, wherever it is stored and whatever it is called."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tagxai.lazy import torch

_ELSEWHERE = {
    "source",
    "name_or_path",
    "_name_or_path",
    "_commit_hash",
}  # where it is stored: if moved, it is the same
_OF_THE_RUN = {"training", "device", "dtype", "torch_dtype", "transformers_version", "extra_repr"}


@dataclass(frozen=True)
class Identity:
    """Checksums of a model's `weights`, bit for bit, and of everything else: configuration, tokenizer, codec, defaults
    of sampling. `dtype` is that of its matrices, and says whether torchao has quantised some."""

    weights: str
    settings: str
    dtype: str

    def same_model(self, other: Identity) -> bool:
        """Whether both are of one checkpoint, as far as can be seen: in another dtype, its weights are other bits."""
        return self.settings == other.settings and (self.weights == other.weights or self.dtype != other.dtype)

    def to_json(self) -> dict[str, str]:
        return asdict(self)


_PLAIN = (bool, int, float, str)
"""What counts in private attributes too, beside modules and tensors: others may remember what was done."""


def identify(attributes: Mapping[str, Any], dtype: Any, source: str = "") -> Identity:
    """The identity of what holds these attributes; names of files below `source` do not count."""
    found = _Found(source)
    for name, value in sorted(attributes.items()):
        if not name.startswith("_") or value is None or isinstance(value, (*_PLAIN, torch.nn.Module, torch.Tensor)):
            found.look(name, value)
    settings = hashlib.sha256("\n".join(found.settings).encode(errors="surrogatepass")).hexdigest()
    name = str(dtype).removeprefix("torch.") + (", quantised" if found.is_quantised else "")
    return Identity(_of_tensors(found.tensors), settings[:32], name)


def plain_parts(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """The tensors that a tensor is stored as, by name: itself, or those inside one that torchao has quantised."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return {name: tensor}
    inner = tensor.__tensor_flatten__()[0]
    return {key: part for each in inner for key, part in plain_parts(f"{name}.{each}", getattr(tensor, each)).items()}


def stored_attributes(owner: object) -> dict[str, Any]:
    """The attributes of an object, without its cached properties."""
    cached = {
        name for cls in type(owner).__mro__ for name, value in vars(cls).items() if isinstance(value, cached_property)
    }
    return {name: value for name, value in vars(owner).items() if name not in cached}


def changes(modules: Iterable[torch.nn.Module]) -> int:
    """A number that grows whenever a weight is changed in place (an inference tensor does not count its changes)."""
    weights = (weight for module in modules for weight in module.parameters())
    return sum(0 if weight.is_inference() else weight._version for weight in weights)


class _Found:
    """What was seen of a model: its tensors by name, and a line for each setting."""

    def __init__(self, source: str) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.settings: list[str] = []
        self.is_quantised = False
        folder = Path(source).expanduser()
        self._places = {source, str(folder), str(folder.resolve())} if source and folder.is_dir() else set()
        self._seen: dict[int, Any] = {}  # configurations and tokenizers, of which every module has the same

    def look(self, name: str, value: Any) -> None:
        if name.rpartition(".")[2] in _ELSEWHERE | _OF_THE_RUN or isinstance(value, (torch.device, torch.dtype)):
            return
        if isinstance(value, torch.nn.Module):
            self._module(name, value)
        elif isinstance(value, torch.Tensor):
            self.tensors[name] = value
        else:
            self._setting(name, value)

    def _module(self, name: str, model: torch.nn.Module) -> None:
        for key, tensor in model.state_dict().items():
            if isinstance(tensor, torch.Tensor):
                parts = plain_parts(f"{name}.{key}", tensor)
                self.tensors |= parts
                self.is_quantised |= len(parts) > 1
        for key, part in model.named_modules():
            where = f"{name}.{key}"
            self.settings.append(f"{where} is a {type(part).__qualname__}")
            for attribute, value in sorted(stored_attributes(part).items()):
                if not attribute.startswith("_") and not isinstance(value, (torch.nn.Module, torch.Tensor)):
                    self.look(f"{where}.{attribute}", value)

    def _setting(self, name: str, value: Any) -> None:
        if isinstance(value, str):
            self.settings.append(f"{name} = {self._plain(value)!r}")
        elif value is None or isinstance(value, (bool, int, float)):
            self.settings.append(f"{name} = {value!r}")
        elif isinstance(value, Mapping) and not type(value).__module__.startswith("omegaconf"):
            for key, each in sorted(value.items(), key=lambda pair: str(pair[0])):
                self.look(f"{name}.{key}", each)
        elif isinstance(value, (list, tuple)):
            for number, each in enumerate(value):
                self.look(f"{name}.{number}", each)
        elif isinstance(value, Set):
            self.settings.append(f"{name} = {sorted(map(repr, value))}")
        elif id(value) not in self._seen:
            self._seen[id(value)] = value
            for key, each in _described(value):
                self.look(f"{name}.{key}", each)

    def _plain(self, text: str) -> str:
        """The text without the place of the model."""
        for place in self._places:
            if text == place or text.startswith(place + os.sep):
                return text[len(place) :]
        return text


def _described(value: Any) -> Iterator[tuple[str, Any]]:
    """What is known of an object that is neither plain nor a module, in plain values."""
    if type(value).__module__.startswith("omegaconf"):
        from omegaconf import OmegaConf

        yield "yaml", OmegaConf.to_yaml(value)
    elif hasattr(value, "get_vocab"):  # a tokenizer of transformers, or like one
        backend = getattr(value, "backend_tokenizer", None)
        if backend is None:
            yield "vocabulary", value.get_vocab()
        else:
            rules = json.loads(backend.to_str())
            yield (
                "rules",
                json.dumps({key: each for key, each in rules.items() if key not in ("truncation", "padding")}),
            )
        for key in ("special_tokens_map", "model_max_length", "padding_side", "pad_token_id"):
            yield key, getattr(value, key, None)
    elif hasattr(value, "to_dict"):  # a configuration of transformers
        yield from value.to_dict().items()
    elif is_dataclass(value):
        yield from vars(value).items()
    else:
        yield "class", type(value).__qualname__


def _of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hashed in threads, as hashing and copying from a device leave the interpreter free."""
    known: dict[Any, str] = {}

    def digest(tensor: torch.Tensor) -> str:
        if tensor.device.type == "meta":  # a shard that is loaded when it is used
            return "meta"
        key = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if key not in known:  # a weight may have several names
            plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            known[key] = hashlib.sha256(plain.numpy().data).hexdigest()
        return known[key]

    whole = hashlib.sha256()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for (name, tensor), found in zip(tensors.items(), pool.map(digest, tensors.values()), strict=True):
            whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {found}\n".encode())
    return whole.hexdigest()[:32]
