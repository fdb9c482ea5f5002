"""Generators and methods by name, on a device and in a dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from tagxai.contract.devices import DEVICES, check_device, check_device_name
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.errors import TagxaiError, UnknownNameError, UnsupportedError
from tagxai.generators.quantised import check_torchao, keep_in_eight_bits
from tagxai.lazy import torch
from tagxai.registering.registry import registry

DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")


def device_named(name: str) -> str:
    """The name, `auto` or a device's. Raises UnknownNameError, without torch and whatever this machine has."""
    check_device_name(name, ("auto", *DEVICES))
    return name


def dtype_named(name: str) -> str:
    """The name, `auto` or a dtype's. Raises UnknownNameError."""
    if name not in DTYPES:
        raise UnknownNameError("dtype", str(name), DTYPES)
    return name


def choose_device(device: str) -> str:
    """The device to load a model on. Loads torch."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    return device


def choose_dtype(dtype: str, device: str) -> str:
    """The dtype of the weights on a device from `choose_device`. Loads torch only for cuda."""
    if dtype != "auto":
        return dtype
    on_cuda = device.startswith("cuda") or (device == "sharded" and torch.cuda.is_available())
    return "bfloat16" if on_cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def load_generator(spec: str = "tiny", *, device: str = "cpu", dtype: str = "float32") -> Generator:
    """A generator by name, or by `name:source` where the source is a folder or hub id ("musicgen:./my-model").

    With the dtype "int8", the decoder's matrices are kept in 8 bits, by torchao; they multiply in bfloat16 on a GPU
    that supports it, else in float32. Raises TagxaiError.
    """
    name, _, source = spec.partition(":")
    generator = registry().generator(name)
    if device == "sharded" and not generator.shards:
        raise UnsupportedError(f"generator {name!r} cannot be sharded; use one device, or the generator 'musicgen'")
    if dtype != "int8":
        return generator.load(source or None, device=device, dtype=dtype)
    if generator.eight_bit_parts is Generator.eight_bit_parts:
        raise UnsupportedError(
            f"generator {name!r} cannot be loaded in int8; use bfloat16, or the generator 'musicgen'"
        )
    check_torchao()  # before a large model is loaded
    made = generator.load(source or None, device=device, dtype=choose_dtype("auto", device))
    keep_in_eight_bits(made)
    return made


def make_method(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """A method by name; option values may be text, as from the command line."""
    return registry().method(name).configure(options or {})


def make_methods(names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Method]:
    """The methods by name. A setting METHOD.KEY is for that method, a plain KEY for every method that has it."""
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    shared = {}
    for key, value in settings.items():
        name, dot, option = key.rpartition(".")
        if not dot:
            shared[key] = value
        elif name in own:
            own[name][option] = value
        else:
            raise UnknownNameError("method in this setting", name, names)
    known = {name: options_of(name) for name in names}
    for key in shared:
        if len(names) > 1 and not any(key in options for options in known.values()):
            raise UnknownNameError("option of these methods", key, set[str]().union(*known.values()))
    return {
        name: make_method(name, {k: v for k, v in shared.items() if len(names) == 1 or k in known[name]} | own[name])
        for name in names
    }


def options_of(method: str) -> set[str]:
    """The names of a method's hyper-parameters."""
    cls: Any = registry().method(method)
    return {field.name for field in fields(cls)} if is_dataclass(cls) else set()


def method_names(text: str) -> list[str]:
    """Method names that are separated by commas, each once. Raises TagxaiError."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise TagxaiError(f"methods are names separated by commas, such as audiogenx,shapley, not {text!r}")
    check_distinct(names)
    return names


def check_distinct(names: Sequence[str]) -> None:
    """Raises TagxaiError for a method that is named twice."""
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise TagxaiError(f"method {repeated!r} is given twice; give it once")
