"""captum's algorithms by name, as `algorithms.toml` lists them; read without loading captum."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, NamedTuple

PREFIX = "captum:"


class Algorithm(NamedTuple):
    """One of `captum.attr`. `join` makes one number of a token's dimensions; `adds_up` claims completeness."""

    name: str
    kind: Literal["gradient", "perturbation"]
    summary: str
    paper: str
    expense: str
    join: Literal["sum", "length"] = "sum"
    adds_up: bool = False
    takes_baselines: bool = False


_table = tomllib.loads(Path(__file__).with_name("algorithms.toml").read_text(encoding="utf-8"))
ALGORITHMS = {name: Algorithm(name, **entry) for name, entry in _table["algorithms"].items()}
REFUSED: dict[str, str] = _table["refused"]
"""Algorithms of captum that would give no result, or one that is not theirs, and why."""
