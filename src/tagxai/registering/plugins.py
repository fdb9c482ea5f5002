"""Installed plugins: found without importing them, and loaded one by one, so that a broken one harms no other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from itertools import islice
from typing import Any

import pluggy

from tagxai.classifiers import Classifier
from tagxai.contract.foreign import call_foreign
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.contract.prompt_set import PromptSet
from tagxai.errors import TagxaiError
from tagxai.registering import hookspecs
from tagxai.registering.class_checks import fault

DISABLE = "TAGXAI_DISABLE_PLUGINS"
"""An environment variable: names of distributions not to load, separated by commas, or `all` (`1`, `true`)."""

ONLY = "TAGXAI_ONLY_PLUGINS"
"""An environment variable: the names of the only distributions that are loaded, separated by commas; perhaps none."""

KINDS: dict[str, tuple[str, type]] = {
    "generator": ("tagxai_generators", Generator),
    "method": ("tagxai_methods", Method),
    "metric": ("tagxai_metrics", Metric),
    "classifier": ("tagxai_classifiers", Classifier),
    "prompt set": ("tagxai_prompt_sets", PromptSet),
}
"""Each kind of class, with its hook and its base class."""


MOST = 1000
"""Classes of one kind that a plugin may register."""


@dataclass
class Plugin:
    """One entry point, or an object given by hand: the classes that it registers, and what is wrong with it.

    `distribution` is the name of its package, by which users name it; `origin` is the same with its version.
    """

    distribution: str
    origin: str
    classes: dict[str, list[Any]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    problems: list[str] = field(default_factory=list)

    def load(self, loaded: Any) -> None:
        """Collect the classes of a plugin, which `loaded()` imports; whatever goes wrong becomes a problem."""
        try:
            self._collect(call_foreign("its import", loaded))
        except TagxaiError as error:
            self.problems.append(str(error))

    def _collect(self, plugin: Any) -> None:
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        forgotten = [hook for hook, _ in KINDS.values() if _is_unmarked(plugin, hook)]
        self.problems += [f"defines {hook} without @hookimpl, so that it is not called" for hook in forgotten]
        call_foreign("its hooks", manager.register, plugin, name=self.origin)
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            known = ", ".join(hook for hook, _ in KINDS.values())
            self.problems.append(f"implements a hook that tagxai does not have ({known}): {error}")
        asked = 0
        for kind, (hook, base) in KINDS.items():
            for implementation in getattr(manager.hook, hook).get_hookimpls():
                asked += 1
                self._ask(kind, implementation.function, base)
        if not asked and not self.problems:
            self.problems.append("registers nothing: none of its functions is a hook marked with @hookimpl")

    def _ask(self, kind: str, function: Any, base: type) -> None:
        try:
            found = call_foreign(f"its {kind}s", lambda: list(islice(function(), MOST + 1)))
        except TagxaiError as error:
            self.problems.append(str(error))
            return
        if len(found) > MOST:
            self.problems.append(f"registers more than {MOST} {kind}s, or has no end of them")
            return
        names: set[str] = set()
        for cls in found:
            try:
                wrong = call_foreign("a class", fault, cls, base)
            except TagxaiError as error:  # a metaclass may raise at any look
                wrong = f"registers a class that cannot be inspected: {error}"
            if wrong is None and cls.name in names:
                wrong = f"registers the {kind} {cls.name!r} twice; the first is taken"
            if wrong is not None:
                self.problems.append(wrong)
                continue
            names.add(cls.name)
            self.classes[kind].append(cls)

    def sentences(self) -> list[str]:
        """Each problem as a sentence, with the way to switch the plugin off."""
        return [
            f"plugin {self.origin} {problem} (fix or uninstall it, or set {DISABLE}={self.distribution})"
            for problem in self.problems
        ]


def _is_unmarked(plugin: Any, hook: str) -> bool:
    """Whether a plugin has a function of a hook's name that pluggy does not see."""
    function = getattr(plugin, hook, None)
    return callable(function) and not hasattr(function, f"{hookspecs.PROJECT}_impl")


def given_by_hand(plugin: Any) -> Plugin:
    name = getattr(plugin, "__name__", type(plugin).__qualname__)
    made = Plugin(name, name)
    made.load(lambda: plugin)
    return made


def installed() -> list[Plugin]:
    """The plugins of all installed packages with an entry point in the group `tagxai`, but those switched off."""
    plugins: list[Plugin] = []
    for point, distribution, version in _entry_points():
        if switched_off_by(distribution) is not None:
            continue
        plugin = Plugin(distribution, f"{distribution} {version}".strip())
        plugin.load(point.load)
        plugins.append(plugin)
    return plugins


def switched_off_by(distribution: str) -> str | None:
    """The environment variable that keeps a distribution from being loaded, if there is one."""
    off = _names(os.environ.get(DISABLE, ""))
    if off & {"all", "1", "true"} or normalised(distribution) in off:
        return DISABLE
    only = os.environ.get(ONLY)
    return ONLY if only is not None and normalised(distribution) not in _names(only) else None


def _names(listed: str) -> set[str]:
    return {normalised(part.strip()) for part in listed.split(",") if part.strip()}


def _entry_points() -> Iterator[tuple[metadata.EntryPoint, str, str]]:
    """Each entry point of the group, with the name and version of its distribution; the first of equal names counts,
    as in Python's own search, and a distribution whose files cannot be read has none."""
    seen: set[str] = set()
    found: list[tuple[str, metadata.EntryPoint, str, str]] = []
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
            if not re.search(rf"^\[\s*{hookspecs.PROJECT}\s*\]", text, re.MULTILINE):
                continue
            name, version = distribution.name or "unknown", distribution.version or ""
            points = list(distribution.entry_points.select(group=hookspecs.PROJECT))
        except Exception:  # damaged metadata of any kind; pip reports it better
            continue
        if normalised(name) not in seen:
            seen.add(normalised(name))
            found += [(name, point, name, version) for point in points]
    for _, point, name, version in sorted(found, key=lambda each: (each[0], each[1].name)):
        yield point, name, version


def normalised(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
