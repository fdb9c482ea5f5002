"""Prompts as names of files and folders."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1024)  # lists repeat their prompts
def slug(text: str, longest: int = 48) -> str:
    """As many words of `text` as fit into a file name."""
    name = "-".join(re.findall(r"\w+", text.casefold()[: 4 * longest]))
    while len(name.encode()) > longest:
        name = name[:-1]
    return name.strip("-") or "prompt"


def unique_slug(text: str) -> str:
    """`slug`, with some digits that distinguish it where it leaves out part of `text`."""
    name = slug(text)
    if name == text.replace(" ", "-"):
        return name
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def unique_name(prompt: str, parts: Sequence[str], given: Sequence[Any], usual: Sequence[Any]) -> str:
    """A name from a prompt and some more, with digits of what is `given` if that is not what is `usual`."""
    rest = [] if list(given) == list(usual) else [hashlib.sha256(json.dumps(given).encode()).hexdigest()[:6]]
    return "-".join([unique_slug(prompt), *parts, *rest])
