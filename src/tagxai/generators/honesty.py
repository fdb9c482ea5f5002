"""Whether a checkpoint is what it says: what its files claim of one another, compared before a model is built."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from tagxai.errors import TagxaiError

LARGEST = 1_000_000
"""No size in a configuration is larger: layers, widths, vocabularies, Hz."""
LARGEST_TABLE = 2**31
"""Bytes of a table of positions, which is in no file, so that nothing else bounds it."""

_TOKENIZERS = (
    "tokenizer.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
)
_BESIDE = ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json")
_HEADER = 100_000_000  # bytes, the most that safetensors itself reads


def check_numbers(content: Any, where: str) -> None:
    """Raises TagxaiError for a number that no model has, at any depth of a configuration."""
    items = content.items() if isinstance(content, Mapping) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        name = f"{where}.{key}" if isinstance(content, Mapping) else f"{where}[{key}]"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not isfinite(value) or abs(value) > LARGEST:
                raise TagxaiError(f"{name} is {value}; expected a number of at most {LARGEST}")
        else:
            check_numbers(value, name)


def check_sizes(section: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    """Raises TagxaiError where a size is there, but is no whole number above 0."""
    for key in keys:
        value = section.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise TagxaiError(f"{where}.{key} is {value!r}; expected a whole number above 0")


def check_layers(names: Iterable[str], prefix: str, claimed: Any, where: str) -> None:
    """Raises TagxaiError where the weights have more or fewer layers than a configuration says."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    found = {int(match[1]) for match in map(pattern.match, names) if match}
    if found and len(found) != claimed:
        raise TagxaiError(f"{where} is {claimed}, but the weights have {len(found)} layers {prefix!r}")


def check_shape(shapes: Mapping[str, Sequence[int]], name: str, claimed: Sequence[Any], where: str) -> None:
    """Raises TagxaiError where a tensor is not of the shape that a configuration says (None: it does not say)."""
    found = shapes.get(name)
    if found is not None and any(size not in (None, own) for size, own in zip(claimed, found, strict=False)):
        raise TagxaiError(f"{where} says {name!r} is {list(claimed)}, but the weights have it as {list(found)}")


@contextmanager
def named(source: str) -> Iterator[None]:
    """Errors of the checks in the block say which model they are about."""
    try:
        yield
    except TagxaiError as error:
        raise TagxaiError(f"model {source!r} is not what it says: {error}") from None


def check_tokenizer_files(folder: Path) -> None:
    """Raises TagxaiError where a folder has no tokenizer, or one of an unknown class: transformers would make up an
    empty one, or take another class."""
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise TagxaiError(f"it has no tokenizer: none of {', '.join(_TOKENIZERS)}")
    for file in (folder / "tokenizer_config.json", folder / "config.json"):
        claimed = _object(file).get("tokenizer_class") if file.is_file() else None
        if claimed is not None and not _is_tokenizer(claimed):
            raise TagxaiError(
                f"its {file.name} has tokenizer_class = {claimed!r:.60}; expected a tokenizer of transformers, such as "
                "'T5Tokenizer'"
            )


def _is_tokenizer(name: Any) -> bool:
    from transformers import PreTrainedTokenizerBase
    from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

    found = tokenizer_class_from_name(name) if isinstance(name, str) else None
    is_placeholder = hasattr(found, "_backends")  # its own sentence says which library is missing
    return is_placeholder or (isinstance(found, type) and issubclass(found, PreTrainedTokenizerBase))


def check_tokenizer(tokenizer: Any, rows: int) -> None:
    """Raises TagxaiError where a tokenizer knows no words, cannot pad, or names tokens that a text encoder of so many
    `rows` does not have."""
    special = set(tokenizer.all_special_tokens)
    vocabulary = tokenizer.get_vocab()
    if not any(token not in special and any(map(str.isalnum, token)) for token in vocabulary):
        raise TagxaiError("its tokenizer is empty: it knows no words and no letters")
    highest = max(vocabulary.values())
    if highest >= rows:
        raise TagxaiError(
            f"its tokenizer has tokens up to number {highest}, and its text encoder only embeds those below {rows}"
        )
    pad = tokenizer.pad_token_id
    if pad is None or not 0 <= pad < rows:
        raise TagxaiError(f"its tokenizer pads with token {pad}; expected one of 0 to {rows - 1}")


def check_readable(folder: Path) -> None:
    """Raises TagxaiError for a damaged file beside config.json, for which transformers would take its own defaults."""
    for name in _BESIDE:
        if (folder / name).is_file():
            _object(folder / name)


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]] | None:
    """The tensors in a folder's safetensors files by name; None where it has none.

    Raises TagxaiError for a missing or truncated file.
    """
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        files = {"model.safetensors"}
    elif index.is_file():
        content = _object(index)
        shards = content.get("weight_map")
        if not isinstance(shards, dict) or not all(
            isinstance(name, str) and Path(name).name == name for name in shards.values()
        ):
            raise TagxaiError(f"its {index.name} is damaged: it does not map tensors to files in the folder")
        files = set(shards.values())
    else:
        return None
    return {name: shape for file in sorted(files) for name, shape in _header(folder / file).items()}


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder. Raises TagxaiError."""
    return _object(folder / "config.json")


def _object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise TagxaiError(f"its {path.name} is damaged: it is not JSON") from None
    if not isinstance(content, dict):
        raise TagxaiError(f"its {path.name} is damaged: it holds no JSON object")
    return content


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    """The tensors in a safetensors file, whose data are as long as its header says."""
    if not path.is_file():
        raise TagxaiError(f"it has no {path.name}, which its index names")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _HEADER + 1
        try:
            header = json.loads(file.read(length)) if length <= min(size, _HEADER) else None
            if not isinstance(header, dict):
                raise ValueError
            header.pop("__metadata__", None)
            ends = [int(entry["data_offsets"][1]) for entry in header.values()]
            shapes = {name: tuple(map(int, entry["shape"])) for name, entry in header.items()}
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise TagxaiError(f"its {path.name} is damaged: its header is incomplete") from None
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise TagxaiError(
            f"its {path.name} has {size} bytes, but its header says {expected}: it was cut short or added to"
        )
    return shapes
