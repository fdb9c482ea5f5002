"""Which plugins are installed, what each brings, and whether it is in use."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.registering.hookspecs import PROJECT
from tagxai.registering.plugins import Plugin, normalised, switched_off_by
from tagxai.registering.registry import registry

IN_USE = "in use"


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
    loaded: dict[str, list[Plugin]] = {}
    for plugin in registry().plugins:
        loaded.setdefault(normalised(plugin.distribution), []).append(plugin)
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=PROJECT):
        if point.dist is not None:
            found.setdefault(normalised(point.dist.name), []).append(point)
    return [_installed(points, loaded.get(name, [])) for name, points in sorted(found.items())]


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
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: an empty name
        if name != package:
            raise TagxaiError(f"package {name!r} is not installed: run pip install -e {package}") from None
        raise UnknownNameError("installed plugin", name, [plugin.name for plugin in plugins]) from None
    raise TagxaiError(f"package {name!r} has no entry point in the group {PROJECT!r}, so tagxai cannot find it")


def _installed(points: list[metadata.EntryPoint], loaded: list[Plugin]) -> InstalledPlugin:
    distribution = points[0].dist
    assert distribution is not None  # as `installed_plugins` chose them
    classes = [(kind, cls) for plugin in loaded for kind, each in plugin.classes.items() for cls in each]
    problems = [problem for plugin in loaded for problem in plugin.problems]
    modules = tuple(dict.fromkeys(point.module for point in points))
    brings = tuple(f"{kind} {getattr(cls, 'name', cls.__name__)}" for kind, cls in classes)
    off = switched_off_by(distribution.name)
    state = f"switched off by {off}" if off else "; ".join(problems) or (IN_USE if loaded else "not loaded")
    return InstalledPlugin(distribution.name, distribution.version, modules, brings, state)


def _name_in(folder: Path) -> str:
    """The name of the project in a folder. Raises TagxaiError."""
    file = folder / "pyproject.toml"
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise TagxaiError(f"{file} names no project: {error}") from None
