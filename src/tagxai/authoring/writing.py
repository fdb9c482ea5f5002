"""A new plugin: a package from the templates that passes its own tests and `tagxai plugin check` as it is written."""

from __future__ import annotations

import json
import keyword
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

from tagxai import storage
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.registering.registry import Entry, Registry, registry

Kind = Literal["method", "metric", "generator", "latent-generator"]
"""What a plugin can be started as; each has a folder in `templates`."""

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class PluginName:
    """A plugin's name in each of its spellings.

    >>> PluginName("word_order").package, PluginName("word_order").cls
    ('tagxai-word-order', 'WordOrder')
    """

    name: str

    @property
    def module(self) -> str:
        return f"tagxai_{self.name}"

    @property
    def package(self) -> str:
        return self.module.replace("_", "-")

    @property
    def cls(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

    @classmethod
    def parse(cls, text: str) -> PluginName:
        """A name as a user writes it: dashes count as underscores. Raises TagxaiError."""
        name = text.strip().lower().replace("-", "_")
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
            raise TagxaiError(
                f"a plugin's name has lower-case letters, digits and underscores, such as word_order, not {text!r}"
            )
        return cls(name)


def write_plugin(kind: str, name: str, folder: Path | None = None) -> Path:
    """Write the package of a new plugin into `folder` (default: tagxai-NAME), which may not exist yet or be empty.

    Raises TagxaiError, also for a name that is taken.
    """
    if kind not in get_args(Kind):
        raise UnknownNameError("kind of plugin", kind, get_args(Kind))
    named = PluginName.parse(name)
    _check_free(kind, named.name, registry())
    target = Path(named.package) if folder is None else folder
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TagxaiError(f"{str(target)!r} exists already; give another folder with --out")
    files = {path: _render(template, kind, named, target) for path, template in _templates(kind, named).items()}
    with storage.new_folder(target):
        for path, text in files.items():
            with storage.whole_file(target / path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return target


def _templates(kind: str, named: PluginName) -> dict[str, Path]:
    """The files of a package, and the template of each."""
    own, shared = TEMPLATES / kind, TEMPLATES / "shared"
    return {
        "pyproject.toml": shared / "pyproject.toml.j2",
        ".gitignore": shared / "gitignore.j2",
        "README.md": own / "README.md.j2",
        f"{named.module}.py": own / "module.py.j2",
        f"test_{named.name}.py": own / "test.py.j2",
    }


def _render(template: Path, kind: str, named: PluginName, target: Path) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    version = metadata.version("tagxai")
    major, minor = version.split(".")[:2]
    values: dict[str, Any] = {each: getattr(named, each) for each in ("name", "module", "package", "cls", "title")}
    values |= {"kind": kind.replace("-", " "), "tagxai": f"{major}.{minor}", "next_tagxai": f"{major}.{int(minor) + 1}"}
    checkout = checkout_of_tagxai()
    values["checkout"] = "" if checkout is None else Path(os.path.relpath(checkout, target.resolve())).as_posix()
    return environment.from_string(template.read_text(encoding="utf-8")).render(values)


def checkout_of_tagxai() -> Path | None:
    """The folder that tagxai is installed from, where it is installed as editable; None elsewhere."""
    content = json.loads(metadata.distribution("tagxai").read_text("direct_url.json") or "{}")
    if not content.get("dir_info", {}).get("editable"):
        return None
    folder = Path(content["url"].removeprefix("file://"))
    return folder if (folder / "pyproject.toml").is_file() else None


def _check_free(kind: str, name: str, known: Registry) -> None:
    """Raises TagxaiError where a plugin that is installed has registered the name."""
    own: dict[str, Mapping[str, Entry[Any]]] = {"method": known.methods, "metric": known.metrics}
    entries = own.get(kind, known.generators)
    if name in entries:
        raise TagxaiError(f"{entries[name].origin} has a {kind.split('-')[-1]} named {name!r} already; choose another")
