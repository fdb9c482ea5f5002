"""What an audiocraft checkpoint claims of itself, checked before audiocraft builds a model of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagxai.generators import honesty


def check(language: Mapping[str, Any], codec: Mapping[str, Any], folder: Path | None) -> None:
    """Raises TagxaiError where the files' configurations do not fit their weights, or no model could be as they say."""
    sections: dict[str, dict[str, Any]] = {}
    for package, names in ((language, ("transformer_lm", "conditioners")), (codec, ("seanet", "rvq", "encodec"))):
        for name in names:
            sections[name] = _section(package, name)
            if name != "conditioners":
                honesty.check_numbers(sections[name], f"xp.cfg: {name}")
    _check_transformer(sections["transformer_lm"], language["best_state"])
    if "best_state" in codec:
        honesty.check_sizes(sections["seanet"], ("dimension", "n_filters", "channels"), "xp.cfg: seanet")
        book, rvq = "quantizer.vq.layers.0._codebook.embed", sections["rvq"]
        claimed = (rvq.get("bins"), sections["seanet"].get("dimension"))
        honesty.check_shape(_shapes(codec["best_state"]), book, claimed, "xp.cfg: rvq.bins and seanet.dimension")
    if folder is not None:
        for described in sections["conditioners"].values():
            named = described.get("t5", {}).get("name") if isinstance(described, dict) else None
            if isinstance(named, str) and (folder / named).is_dir():
                _check_text_encoder(folder / named)


def _section(package: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table of the package's xp.cfg, with what it refers to; empty where there is none."""
    from omegaconf import OmegaConf

    section = OmegaConf.select(OmegaConf.create(package.get("xp.cfg", "{}")), name)
    found = OmegaConf.to_container(section, resolve=True) if OmegaConf.is_dict(section) else {}
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def _check_transformer(sizes: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    where = "xp.cfg: transformer_lm"
    honesty.check_sizes(sizes, ("dim", "num_heads", "num_layers", "n_q", "card"), where)
    dim, card, scale = sizes.get("dim"), sizes.get("card"), sizes.get("hidden_scale")
    if "num_layers" in sizes:
        honesty.check_layers(state, "transformer.layers", sizes["num_layers"], f"{where}.num_layers")
    if "n_q" in sizes:
        honesty.check_layers(state, "emb", sizes["n_q"], f"{where}.n_q")
    rows = None if card is None else card + 1  # and one for where there is no code
    honesty.check_shape(_shapes(state), "emb.0.weight", (rows, dim), f"{where}.card and dim")
    if isinstance(scale, (int, float)) and dim is not None:
        wide = "transformer.layers.0.linear1.weight"
        honesty.check_shape(_shapes(state), wide, (int(scale * dim), dim), f"{where}.hidden_scale")


def _check_text_encoder(folder: Path) -> None:
    config = honesty.read_config(folder)
    where = f"config.json of {folder.name}"
    honesty.check_numbers(config, where)
    honesty.check_tokenizer_files(folder)
    honesty.check_readable(folder)
    shapes = honesty.tensor_shapes(folder)
    if shapes is not None:
        honesty.check_layers(shapes, "encoder.block", config.get("num_layers"), f"{where}: num_layers")
        honesty.check_shape(shapes, "shared.weight", (config.get("vocab_size"), config.get("d_model")), where)


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items() if hasattr(tensor, "shape")}
