"""All that decides a result, for the names of clips, explanations and cells: what models, methods and metrics are."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tagxai.contract.attribution import installed_versions
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.registering.registry import registry
from tagxai.storage import contents


def model_identity(generator: Generator) -> dict[str, Any]:
    """All of a loaded model that decides its clips and scores, as JSON can hold it."""
    return {
        "name": generator.name,
        **generator.identity().to_json(),
        "device": str(generator.encode_prompt(["a"]).embeddings.device).partition(":")[0],
        "versions": installed_versions(),
        **code_of(type(generator)),
    }


def method_identity(method: Method) -> dict[str, Any]:
    """All of a method that decides its scores."""
    settings = method.settings()
    return {"name": method.name, "settings": settings, **content_of(settings), **code_of(type(method))}


def code_of(cls: type) -> dict[str, str]:
    """A checksum of the code of a class that does not come with tagxai: somebody may be writing it just now."""
    package = cls.__module__.partition(".")[0]
    if package == "tagxai":  # known by its version
        return {}
    whole = hashlib.sha256()
    for file in _sources(cls, package):
        whole.update(file.read_bytes())
    return {"code": whole.hexdigest()[:16]}


def _sources(cls: type, package: str) -> Iterator[Path]:
    """The files of a class's package, or the one that it is in."""
    places = getattr(sys.modules.get(package), "__path__", None)
    if places is not None:
        for place in places:
            yield from sorted(Path(place).rglob("*.py"))
        return
    try:
        yield Path(inspect.getfile(cls))
    except (TypeError, OSError):  # made up as the program ran
        return


def content_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Checksums of the files and folders that settings name, alone or as in `panns:FILE`."""
    found = {}
    for key, value in settings.items():
        if isinstance(value, str):
            path = next((path for path in map(Path, (value, value.partition(":")[2])) if contents.exists(path)), None)
            if path is not None:
                found[f"content of {key}"] = contents.digest(path)[:16]
            if key == "classifier" and (known := registry().classifiers.get(value.partition(":")[0])) is not None:
                found |= {f"{name} of {key}": text for name, text in code_of(known.cls).items()}
    return found
