"""Which tensor of one format is which of the other: a name for a name, and three for audiocraft's q, k and v in one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from tagxai.errors import TagxaiError
from tagxai.lazy import torch

File = Literal["language model", "codec", "text encoder"]
State = Mapping[str, Any]

CONDITION = "description"  # what the released models call their text

_TIED = "text_encoder.encoder.embed_tokens.weight"  # a second name of text_encoder.shared.weight
_PARTS = {"q_proj": 0, "k_proj": 1, "v_proj": 2}
_LAYER = {
    "self_attn": "self_attn",
    "encoder_attn": "cross_attention",
    "self_attn_layer_norm": "norm1",
    "encoder_attn_layer_norm": "norm_cross",
    "final_layer_norm": "norm2",
    "fc1": "linear1",
    "fc2": "linear2",
}
_WEIGHT_NORM = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


class Place(NamedTuple):
    """Where audiocraft keeps a tensor of transformers' MusicGen."""

    file: File
    name: str
    part: int | None = None  # a third of the matrix of this name: 0 q, 1 k, 2 v


def expected_tensors(config: Any) -> dict[str, tuple[torch.Size, Place]]:
    """All tensors of a MusicGen of this configuration: their shapes, and their places in audiocraft's files."""
    from transformers import MusicgenForConditionalGeneration

    with torch.device("meta"):  # shapes alone, without memory
        model = MusicgenForConditionalGeneration(config)
    transposed = {
        name
        for name, module in model.named_modules()
        if isinstance(getattr(module, "conv", None), torch.nn.ConvTranspose1d)
    }
    return {
        name: (tensor.shape, _place(name, transposed)) for name, tensor in model.state_dict().items() if name != _TIED
    }


def _place(name: str, transposed: set[str]) -> Place:
    part, _, rest = name.partition(".")
    if part == "text_encoder":
        return Place("text encoder", rest)
    if part == "audio_encoder":
        return Place("codec", _codec_name(rest, transposed))
    if part == "enc_to_dec_proj":
        return Place("language model", f"condition_provider.conditioners.{CONDITION}.output_proj.{rest}")
    rest = rest.removeprefix("model.decoder.")
    if match := re.fullmatch(r"layers\.(\d+)\.(\w+)\.(.+)", rest):
        layer, module, weight = match.groups()
        prefix = f"transformer.layers.{layer}.{_LAYER[module]}."
        projection = weight.removesuffix(".weight")
        if projection in _PARTS:
            return Place("language model", f"{prefix}in_proj_weight", _PARTS[projection])
        return Place("language model", prefix + weight)
    for theirs, ours in (("embed_tokens.", "emb."), ("lm_heads.", "linears."), ("layer_norm.", "out_norm.")):
        if rest.startswith(theirs):
            return Place("language model", ours + rest.removeprefix(theirs))
    raise TagxaiError(f"MusicGen's classes in this transformers have a tensor {name!r} that tagxai does not know")


def _codec_name(name: str, transposed: set[str]) -> str:
    if name.startswith("quantizer."):
        return name.replace("quantizer.layers.", "quantizer.vq.layers.").replace(".codebook.", "._codebook.")
    for theirs, ours in _WEIGHT_NORM.items():
        name = name.replace(theirs, ours)
    module = f"audio_encoder.{name.rpartition('.conv.')[0]}"
    wrapped = "convtr.convtr" if module in transposed else "conv.conv"
    return name.replace(".layers.", ".model.", 1).replace(".conv.", f".{wrapped}.")


def to_transformers(files: Mapping[File, State], expected: Mapping[str, tuple[torch.Size, Place]]) -> dict[str, Any]:
    """The tensors of audiocraft's files under transformers' names. Raises TagxaiError where they do not fit."""
    thirds = {(place.file, place.name) for _, place in expected.values() if place.part is not None}
    for file, state in files.items():
        wanted = {place.name for _, place in expected.values() if place.file == file}
        check_names(f"the {file}", state, wanted)
    state = {}
    for name, (shape, place) in expected.items():
        tensor = files[place.file][place.name]
        if (place.file, place.name) in thirds:
            check_shape(f"{place.name} of the {place.file}", tensor, torch.Size((3 * shape[0], *shape[1:])))
            tensor = tensor.chunk(3)[place.part or 0]
        check_shape(f"{place.name} of the {place.file}", tensor, shape)
        state[name] = tensor
    return state


def to_audiocraft(state: State, expected: Mapping[str, tuple[torch.Size, Place]]) -> dict[File, dict[str, Any]]:
    """The tensors of a transformers MusicGen in audiocraft's files. Raises TagxaiError where they do not fit."""
    check_names("the model", state, set(expected))
    files: dict[File, dict[str, Any]] = {"language model": {}, "codec": {}, "text encoder": {}}
    thirds: dict[str, list[Any]] = {}
    for name, (shape, place) in expected.items():
        check_shape(name, state[name], shape)
        if place.part is None:
            files[place.file][place.name] = state[name]
        else:
            thirds.setdefault(place.name, [None, None, None])[place.part] = state[name]
    files["language model"] |= {name: torch.cat(parts) for name, parts in thirds.items()}
    return files


def current_names(state: State) -> dict[str, Any]:
    """The names that today's transformers writes, for checkpoints of earlier versions (weight norm, tied weights)."""
    return dict(_current(state))


def _current(state: State) -> Iterator[tuple[str, Any]]:
    for name, tensor in state.items():
        for theirs, earlier in _WEIGHT_NORM.items():
            name = name.replace(f".conv.{earlier}", f".conv.{theirs}")
        if name == _TIED:
            name = "text_encoder.shared.weight"
        if not name.endswith(".embed_positions.weights"):  # computed from the configuration
            yield name, tensor


def check_names(what: str, found: State, wanted: set[str]) -> None:
    problems = {"lacks": sorted(wanted - set(found)), "has the unexpected": sorted(set(found) - wanted)}
    said = [
        f"{verb} {', '.join(map(repr, names[:3]))}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for verb, names in problems.items()
        if names
    ]
    if said:
        raise TagxaiError(f"{what} does not fit its configuration: it {' and '.join(said)}")


def check_shape(what: str, tensor: Any, shape: torch.Size) -> None:
    if not isinstance(tensor, torch.Tensor) or tensor.shape != shape:
        found = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise TagxaiError(f"{what} does not fit its configuration: it is {found}, expected {tuple(shape)}")
