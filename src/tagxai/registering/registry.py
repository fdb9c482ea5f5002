"""Names -> classes: everything that tagxai and the installed plugins registered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Generic, TypeVar

import pluggy

from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.errors import DuplicateNameError, TagxaiError, UnknownNameError
from tagxai.registering import builtin, hookspecs

T = TypeVar("T")

BUILT_IN = "tagxai"


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered class, and the plugin (a distribution, or "tagxai") that it came from."""

    name: str
    cls: type[T]
    origin: str

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (self.cls.__doc__ or "").strip().partition("\n")[0]


class Registry:
    """The generators, methods and metrics of one plugin manager."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self.manager = manager
        self.generators: dict[str, Entry[Generator]] = self._collect("tagxai_generators", Generator)
        self.methods: dict[str, Entry[Method]] = self._collect("tagxai_methods", Method)
        self.metrics: dict[str, Entry[Metric]] = self._collect("tagxai_metrics", Metric)
        self.families = builtin.method_families()

    def generator(self, name: str) -> type[Generator]:
        return _find("generator", name, self.generators)

    def method(self, name: str) -> type[Method]:
        """A registered method, or one of another library, such as `captum:KernelShap`."""
        family = self.families.get(name.partition(":")[0])
        if family is not None and ":" in name:
            return family.resolve(name)
        if name not in self.methods:
            others = (other for each in self.families.values() for other in each.summaries)
            raise UnknownNameError("method", name, [*self.methods, *others])
        return self.methods[name].cls

    def metric(self, name: str) -> type[Metric]:
        return _find("metric", name, self.metrics)

    def _collect(self, hook: str, base: Any) -> dict[str, Entry[T]]:
        entries: dict[str, Entry[T]] = {}
        caller = getattr(self.manager.hook, hook)
        for implementation in caller.get_hookimpls():
            origin = self._origin(implementation.plugin)
            for cls in self._classes(implementation.function, origin, base):
                if cls.name in entries:
                    raise DuplicateNameError(
                        f"two plugins register the {base.__name__.lower()} {cls.name!r}: "
                        f"{entries[cls.name].origin} and {origin}; rename or uninstall one"
                    )
                entries[cls.name] = Entry(cls.name, cls, origin)
        return dict(sorted(entries.items()))

    @staticmethod
    def _classes(function: Any, origin: str, base: Any) -> list[Any]:
        try:
            classes = list(function())
        except Exception as error:  # a broken plugin must name itself, whatever it raises
            raise TagxaiError(f"plugin {origin} failed to register: {type(error).__name__}: {error}") from error
        for cls in classes:
            if not (isinstance(cls, type) and issubclass(cls, base) and isinstance(getattr(cls, "name", None), str)):
                raise TagxaiError(f"plugin {origin} registers {cls!r}; expected {base.__name__} classes with a name")
        return classes

    def _origin(self, plugin: object) -> str:
        for registered, distribution in self.manager.list_plugin_distinfo():
            if registered is plugin:
                return f"{distribution.project_name} {distribution.version}"
        return self.manager.get_name(plugin) or repr(plugin)


def _find(kind: str, name: str, entries: dict[str, Entry[T]]) -> type[T]:
    if name not in entries:
        raise UnknownNameError(kind, name, entries)
    return entries[name].cls


def load(*plugins: object, entry_points: bool = True) -> Registry:
    """Built-ins, installed packages with an entry point in the group `tagxai`, and `plugins` given by hand."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, name=BUILT_IN)
    if entry_points:
        _load_installed(manager)
    for plugin in plugins:
        manager.register(plugin, name=getattr(plugin, "__name__", type(plugin).__qualname__))
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise TagxaiError(f"a plugin implements a hook that tagxai does not have: {error}") from error
    return Registry(manager)


def _load_installed(manager: pluggy.PluginManager) -> None:
    """Load entry points one at a time, so that an error can name the one that cannot be imported."""
    names = [point.name for point in metadata.entry_points(group=hookspecs.PROJECT)]
    for name in sorted(set(names)):
        if names.count(name) > 1 or name == BUILT_IN:  # pluggy would silently take one of them
            raise TagxaiError(f"several installed plugins call their entry point {name!r}; uninstall all but one")
        try:
            manager.load_setuptools_entrypoints(hookspecs.PROJECT, name=name)
        except Exception as error:  # importing someone else's code can raise anything
            raise TagxaiError(
                f"the installed plugin {name!r} cannot be loaded ({type(error).__name__}: {error}); "
                "fix or uninstall its package"
            ) from error


@cache
def registry() -> Registry:
    """The registry of this process, built once."""
    return load()
