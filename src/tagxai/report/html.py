"""What the pages are made of: templates, and values and pictures as text that HTML can hold."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


def template(name: str) -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tagxai.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name)


def abbreviated(value: Any) -> str:
    """A setting or cost as a reader wants it: four digits of a float, JSON for the rest."""
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False).strip('"')


def listed(values: Mapping[str, Any]) -> str:
    """Settings or costs on one line."""
    return ", ".join(f"{name} {abbreviated(value)}" for name, value in values.items())


def data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def text_of_script(files: Sequence[str]) -> str:
    """The script's files as one, in a scope of its own; those of another folder have its name before theirs."""
    parts = "\n".join(resource(f"{name if '/' in name else f'script/{name}'}.js") for name in files)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@cache
def resource(name: str) -> str:
    """A file beside this one, as text."""
    return resources.files("tagxai.report").joinpath(name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """What a content security policy calls a script or style that it allows."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
