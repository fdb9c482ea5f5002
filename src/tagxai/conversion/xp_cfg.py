"""Reading and building audiocraft's settings, the YAML `xp.cfg` in its checkpoints."""

from __future__ import annotations

import re
from typing import Any

from tagxai.errors import TagxaiError

Settings = dict[str, Any]

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_MISSING = object()


def parse(text: Any, file: str) -> Settings:
    """The YAML of an `xp.cfg`, as plain values; `get` follows references such as `${sample_rate}`."""
    import yaml

    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, AttributeError, TypeError):
        config = None
    if not isinstance(config, dict):
        raise TagxaiError(f"xp.cfg of {file} is not the YAML of settings")
    return config


def get(config: Settings, path: str, default: Any = _MISSING, *, depth: int = 0) -> Any:
    """The setting at `a.b.c`, or the default. Raises TagxaiError without either."""
    value: Any = config
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            if default is _MISSING:
                raise TagxaiError(f"xp.cfg has no {path}")
            return default
        value = value[name]
    if isinstance(value, str) and (match := _REFERENCE.fullmatch(value)):
        if depth > 8:
            raise TagxaiError(f"xp.cfg refers in a circle at {path}")
        return get(config, match[1], default, depth=depth + 1)
    return value


def put(config: Settings, path: str, value: Any) -> None:
    """Set `a.b.c`, and make the tables on the way."""
    *parents, name = path.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[name] = value.copy() if isinstance(value, dict | list) else value
