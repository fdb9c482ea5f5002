"""Which plugins are installed, what each brings, and whether it is in use."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.registering.hookspecs import PROJECT
from tagxai.registering.plugins import DISABLE, normalised
from tagxai.registering.registry import Entry, Registry, registry


@dataclass(frozen=True)
class InstalledPlugin:
    """A distribution with an entry point of tagxai: `brings` is what it registers, such as "method alti"."""

    name: str
    version: str
    modules: tuple[str, ...]
    brings: tuple[str, ...]
    state: str

    @property
    def origin(self) -> str:
        return f"{self.name} {self.version}"


def installed_plugins() -> list[InstalledPlugin]:
    """The installed plugins by name, those that are switched off or broken included."""
    known = registry()
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=PROJECT):
        if point.dist is not None:
            found.setdefault(normalised(point.dist.name), []).append(point)
    return [_plugin(points, known) for _, points in sorted(found.items())]


def find_plugin(package: str) -> InstalledPlugin:
    """The plugin of an installed package, given by its name, its module, or the folder of its source.

    Raises TagxaiError where it is not installed, or has no entry point.
    """
    name = _name_in(Path(package)) if (Path(package) / "pyproject.toml").is_file() else package
    plugins = installed_plugins()
    for plugin in plugins:
        if normalised(plugin.name) == normalised(name) or name in plugin.modules:
            return plugin
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        if name != package:
            raise TagxaiError(f"package {name!r} is not installed: run pip install -e {package}") from None
        raise UnknownNameError("installed plugin", name, [plugin.name for plugin in plugins]) from None
    raise TagxaiError(f"package {name!r} has no entry point in the group {PROJECT!r}, so tagxai cannot find it")


def _plugin(points: list[metadata.EntryPoint], known: Registry) -> InstalledPlugin:
    distribution = points[0].dist
    assert distribution is not None  # as `installed_plugins` chose them
    origin = f"{distribution.name} {distribution.version}"
    kinds: dict[str, Mapping[str, Entry[Any]]] = {
        "method": known.methods,
        "metric": known.metrics,
        "generator": known.generators,
    }
    brings = tuple(
        f"{kind} {entry.name}"
        for kind, entries in kinds.items()
        for entry in entries.values()
        if entry.origin == origin
    )
    off = {normalised(name.strip()) for name in os.environ.get(DISABLE, "").split(",")}
    if off & {normalised(distribution.name), "all"}:
        state = f"switched off by {DISABLE}"
    else:
        state = "in use" if brings else "registers nothing"
    modules = tuple(dict.fromkeys(point.module for point in points))
    return InstalledPlugin(distribution.name, distribution.version, modules, brings, state)


def _name_in(folder: Path) -> str:
    """The name of the project in a folder. Raises TagxaiError."""
    file = folder / "pyproject.toml"
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise TagxaiError(f"{file} names no project: {error}") from None
