"""Reading pipelines of diffusers from a folder or the model hub: of one class, whole, and without a pickle."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tagxai.contract.whole_weights import read_whole
from tagxai.errors import TagxaiError
from tagxai.generators.kinds import found_instead
from tagxai.generators.parts import quiet
from tagxai.generators.sources import first_line, load_from
from tagxai.lazy import torch

INDEX = "model_index.json"
_READ = ("*.json", "*/*.json", "*/*.safetensors", "*/*.txt", "*/*.model")  # not the single files beside the parts


def load_pipeline(generator: str, source: str, pipeline: str, parts: Mapping[str, str]) -> Any:
    """The `pipeline` (a class of diffusers) of a folder or hub id, on the CPU in float32.

    `parts` are those that it needs, with their classes ("" for any). Raises TagxaiError for anything else.
    """
    import_diffusers(generator)
    return load_from(
        source,
        partial(_read, pipeline, parts),
        what=f"a {pipeline}",
        layout=f"that {pipeline}.save_pretrained wrote",
        needs=(INDEX,),
    )


def import_diffusers(generator: str) -> None:
    """Raises TagxaiError where diffusers cannot be imported."""
    try:
        import diffusers  # noqa: F401
        import torchsde  # noqa: F401
    except ImportError as error:
        raise TagxaiError(
            f"generator {generator!r} needs diffusers ({first_line(error)}): pip install 'tagxai[diffusers]' "
            "(`uv sync --extra diffusers` in a checkout)"
        ) from None


def to_dtype(layers: Any, dtype: str) -> None:
    """The matrices of a network's layers in a lower dtype; norms, and the sum of the layers, stay in float32."""
    for part in layers.modules():
        if isinstance(part, torch.nn.Linear):
            part.to(getattr(torch, dtype))


def _read(pipeline: str, parts: Mapping[str, str], source: str, **hub: Any) -> Any:
    import diffusers

    folder = Path(source)
    if hub:
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(source, allow_patterns=list(_READ), **hub))
    index = _check(folder, pipeline, parts)
    safely = {"local_files_only": True, "use_safetensors": True}
    with _silent(), torch.random.fork_rng(devices=[]):  # building a model draws weights before it loads them
        networks = {name: kind for name in index if (kind := _network(*index[name])) and (folder / name).is_dir()}
        whole = {name: read_whole(kind, str(folder / name), **safely) for name, kind in networks.items()}
        pipe = getattr(diffusers, pipeline).from_pretrained(str(folder), **safely, **whole)
    for name in parts:
        part = getattr(pipe, name)
        if isinstance(part, torch.nn.Module):
            part.float()
    return pipe


def _network(library: str | None, name: str | None) -> Any:
    """The class of a part that has weights, by its library and name in the index; None for other parts."""
    import diffusers
    import transformers

    if library is None or name is None:
        return None
    own = {"transformers": transformers, "diffusers": diffusers}
    kind = getattr(own.get(library) or getattr(diffusers.pipelines, library, None), name, None)
    return kind if isinstance(kind, type) and issubclass(kind, torch.nn.Module) else None


def _check(folder: Path, pipeline: str, parts: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """The index's parts, with their libraries and classes. Raises FileNotFoundError for what a folder lacks,
    TagxaiError for what it should not be."""
    if not (folder / INDEX).is_file():
        raise FileNotFoundError(f"it has no {INDEX}")
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = index["_class_name"]
    except (ValueError, KeyError, TypeError):
        raise TagxaiError(f"{folder / INDEX} is damaged: it names no pipeline") from None
    if found != pipeline:
        raise TagxaiError(f"{str(folder)!r} does not hold a {pipeline}: {found_instead(folder)}")
    for name, wanted in parts.items():
        cls = (index.get(name) or [None, None])[1]
        if cls is None or not (folder / name).is_dir():
            raise FileNotFoundError(f"the {pipeline} has no {name}")
        if wanted and cls != wanted:
            raise TagxaiError(f"the {name} of {str(folder)!r} is a {cls}; expected a {wanted}")
        if (folder / name / "config.json").is_file() and not list((folder / name).glob("*.safetensors")):
            pickles = [each.name for each in (folder / name).iterdir() if each.suffix in (".bin", ".pt", ".ckpt")]
            if pickles:
                raise TagxaiError(
                    f"the {name} of {str(folder)!r} is a pickle ({pickles[0]}), and reading that could run code; "
                    "expected safetensors"
                )
            raise FileNotFoundError(f"the {name} has no weights in safetensors")
    return {name: (part[0], part[1]) for name, part in index.items() if isinstance(part, list) and len(part) == 2}


@contextmanager
def _silent() -> Iterator[None]:
    """Without the progress bars and notes of diffusers, transformers, and xformers, whose kernels nobody asked for."""
    from diffusers.utils import logging as own

    level, shown = own.get_verbosity(), own.is_progress_bar_enabled()
    kernels = logging.getLogger("xformers")
    said = kernels.level
    kernels.setLevel(logging.ERROR)
    own.set_verbosity(logging.ERROR)
    own.disable_progress_bar()
    try:
        with quiet():
            yield
    finally:
        kernels.setLevel(said)
        own.set_verbosity(level)
        if shown:
            own.enable_progress_bar()
