"""All that decides a result, for the names of clips, explanations and cells: what models, methods and metrics are."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
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
    """A checksum of the code of a class that does not come with tagxai, and of the data in its package: somebody may be
    writing it just now."""
    package = cls.__module__.partition(".")[0]
    if package == "tagxai":  # known by its version
        return {}
    whole = hashlib.sha256()
    for file in _sources(cls, package):
        whole.update(f"{file.name} {contents.digest(file)}\n".encode(errors="replace"))
    return {"code": whole.hexdigest()[:16]}


def _sources(cls: type, package: str) -> Iterator[Path]:
    """The files of a class's package, or the one that it is in; and of what these import from the same folder, unless
    that is where all packages are installed."""
    module = sys.modules.get(package)
    places = [Path(place) for place in getattr(module, "__path__", ())]
    if not places:
        try:
            places = [Path(inspect.getfile(cls))]
        except (TypeError, OSError):  # made up as the program ran
            return
    shared = places[0].parent.name in ("site-packages", "dist-packages")
    for place in places:  # which grows
        for file in _files(place):
            yield file
            if file.suffix == ".py" and not shared:
                places += [each for each in _imported(file, places[0].parent) if each not in places]


def _files(place: Path) -> list[Path]:
    """A file, or all in a package but what Python and other tools keep there."""
    if not place.is_dir():
        return [place]
    inside = (file for file in sorted(place.rglob("*")) if file.is_file())
    return [file for file in inside if not any(_is_kept_by_tools(part) for part in file.relative_to(place).parts)]


def _is_kept_by_tools(name: str) -> bool:
    return name.startswith((".", "__pycache__")) or name.endswith(".pyc")


def _imported(file: Path, folder: Path) -> Iterator[Path]:
    """The modules and packages in `folder` that a file imports."""
    for top in _names_imported(contents.digest(file), file):
        if (folder / f"{top}.py").is_file():
            yield folder / f"{top}.py"
        elif (folder / top / "__init__.py").is_file():
            yield folder / top


@cache
def _names_imported(digest: str, file: Path) -> tuple[str, ...]:
    """The top-level names that a file of this checksum imports; parsed once a process."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return ()
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.append(node.module)
    return tuple(dict.fromkeys(name.partition(".")[0] for name in names))


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
