"""Names -> classes: everything that tagxai and the installed plugins registered.

tagxai's own names are found without importing a plugin; plugins are loaded when another name, or a list, is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from tagxai.classifiers import Classifier
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.contract.prompt_set import PromptSet
from tagxai.errors import DuplicateNameError, TagxaiError, UnknownNameError
from tagxai.registering import builtin, plugins
from tagxai.registering.plugins import Plugin, normalised

T = TypeVar("T")

BUILT_IN = "tagxai"


class PluginWarning(UserWarning):
    """Something is wrong with an installed plugin, which need not concern the work at hand."""


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
    """What tagxai, installed plugins, and plugins given by hand register, by kind and name.

    A name that several plugins register is written `DISTRIBUTION/NAME`; tagxai's own classes keep their plain names.
    """

    def __init__(self, given: Iterable[Any] = (), *, entry_points: bool = True) -> None:
        self._given, self._entry_points = tuple(given), entry_points
        self.families = builtin.method_families()
        self._own: dict[str, dict[str, Entry[Any]]] = {}
        self._clashes: list[str] = []

    def generator(self, name: str) -> type[Generator]:
        try:
            return self.entry("generator", name).cls
        except UnknownNameError as error:
            folder = Path(name)
            if folder.is_dir():
                raise TagxaiError(_folder_alone(folder)) from None
            raise error

    def method(self, name: str) -> type[Method]:
        """A registered method, or one of another library, such as `captum:KernelShap`."""
        return self.entry("method", name).cls

    def metric(self, name: str) -> type[Metric]:
        return self.entry("metric", name).cls

    def entry(self, kind: str, name: str) -> Entry[Any]:
        """The class of a name, and its origin. Raises UnknownNameError, or DuplicateNameError for an ambiguous name."""
        family = self.families.get(name.partition(":")[0]) if kind == "method" and ":" in name else None
        if family is not None:
            return Entry(name, family.resolve(name), BUILT_IN)
        own = self._built_in(kind).get(name.removeprefix(f"{BUILT_IN}/"))
        if own is not None and "_by_kind" not in vars(self):
            return own
        entries = self._by_kind[kind]
        if name in entries:
            return entries[name]
        return own or self._by_distribution(kind, name)

    @property
    def generators(self) -> Mapping[str, Entry[Generator]]:
        return self._by_kind["generator"]

    @property
    def methods(self) -> Mapping[str, Entry[Method]]:
        return self._by_kind["method"]

    @property
    def metrics(self) -> Mapping[str, Entry[Metric]]:
        return self._by_kind["metric"]

    @property
    def classifiers(self) -> Mapping[str, Entry[Classifier]]:
        """Those of plugins; tagxai's own are `tagxai.classifiers.NAMES`."""
        return self._by_kind["classifier"]

    @property
    def prompt_sets(self) -> Mapping[str, Entry[PromptSet]]:
        """Those of plugins; the laboratory's are `laboratory:SPLIT:NUMBER`."""
        return self._by_kind["prompt set"]

    @property
    def problems(self) -> list[str]:
        """What is wrong with plugins, a sentence each. It loads none: only those that were needed so far count."""
        return [*(text for plugin in vars(self).get("plugins", ()) for text in plugin.sentences()), *self._clashes]

    @cached_property
    def plugins(self) -> list[Plugin]:
        """All plugins, loaded. Warns of each problem once."""
        found = plugins.installed() if self._entry_points else []
        found += [plugins.given_by_hand(each) for each in self._given]
        for sentence in (text for plugin in found for text in plugin.sentences()):
            warnings.warn(sentence, PluginWarning, stacklevel=2)
        return found

    @cached_property
    def _by_kind(self) -> Mapping[str, Mapping[str, Entry[Any]]]:
        return {kind: MappingProxyType(self._all(kind)) for kind in plugins.KINDS}  # a plugin cannot empty it

    def _built_in(self, kind: str) -> dict[str, Entry[Any]]:
        if kind not in self._own:
            hook, _ = plugins.KINDS[kind]
            self._own[kind] = {cls.name: Entry(cls.name, cls, BUILT_IN) for cls in getattr(builtin, hook)()}
        return self._own[kind]

    def _all(self, kind: str) -> dict[str, Entry[Any]]:
        """By name, those that share one by `DISTRIBUTION/NAME`."""
        entries = dict(self._built_in(kind))
        owners: dict[str, list[tuple[Plugin, type[Any]]]] = {}
        for plugin in self.plugins:
            for cls in plugin.classes[kind]:
                owners.setdefault(cls.name, []).append((plugin, cls))
        for name, found in owners.items():
            alone = len(found) == 1 and name not in entries
            for plugin, cls in found:
                full = name if alone else f"{plugin.distribution}/{name}"
                entries[full] = Entry(full, cls, plugin.origin)
            if not alone:
                named = [*([BUILT_IN] if name in self._built_in(kind) else []), *(p.distribution for p, _ in found)]
                text = f"the {kind} {name!r} is registered by {' and '.join(named)}: write DISTRIBUTION/{name}"
                self._clashes.append(text)
                warnings.warn(text, PluginWarning, stacklevel=2)
        return dict(sorted(entries.items()))

    def _by_distribution(self, kind: str, name: str) -> Entry[Any]:
        """`DISTRIBUTION/NAME`, which need not be ambiguous. Raises TagxaiError that says why there is none."""
        entries = self._by_kind[kind]
        owner, slash, plain = name.partition("/")
        mine = [plugin for plugin in self.plugins if normalised(plugin.distribution) == normalised(owner)]
        if slash and mine:
            for plugin in mine:
                for cls in plugin.classes[kind]:
                    if cls.name == plain:
                        return Entry(name, cls, plugin.origin)
            if broken := [text for plugin in mine for text in plugin.sentences()]:
                raise TagxaiError(f"no {kind} named {name!r}: {broken[0]}")
            raise UnknownNameError(kind, name, [f"{owner}/{cls.name}" for each in mine for cls in each.classes[kind]])
        ambiguous = [full for full in entries if full.partition("/")[2] == name]
        if ambiguous:
            choices = ", ".join(ambiguous)
            raise DuplicateNameError(f"several plugins register the {kind} {name!r}; give one of {choices}")
        others = [one for each in self.families.values() for one in each.summaries] if kind == "method" else []
        failed = ", ".join(plugin.origin for plugin in self.plugins if plugin.problems)
        raise UnknownNameError(kind, name, [*entries, *others], failed and f"; plugins with problems: {failed}")


def _folder_alone(folder: Path) -> str:
    """The sentence for a folder that was given without the generator that reads it."""
    from tagxai.generators.kinds import found_instead

    held = found_instead(folder)
    text = f"folder {str(folder)!r} needs the name of the generator that reads it, as NAME:{folder}"
    return text if held is None else f"{text}; {held}"


def load(*given: object, entry_points: bool = True) -> Registry:
    """Built-ins, installed packages with an entry point in the group `tagxai`, and `given` plugins."""
    return Registry(given, entry_points=entry_points)


@cache
def registry() -> Registry:
    """The registry of this process, built once."""
    return load()
