"""Settings that methods need on a generator which lacks what they use by default: words deleted, without attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tagxai.contract.generator import Generator
from tagxai.contract.method import Method


def suiting(
    methods: Mapping[str, Method], given: Mapping[str, Any], generator: Generator | type[Generator]
) -> tuple[dict[str, Any], list[str]]:
    """Settings METHOD.KEY to add to those `given`, and a sentence for each method that takes some."""
    added: dict[str, Any] = {}
    sentences = []
    for name, method in methods.items():
        own = {key.rpartition(".")[2] for key in given if key.rpartition(".")[0] in ("", name)}
        if method.suited(generator.offers, own) is method:
            continue
        lacking = ", ".join(sorted(method.needed() - generator.offers))
        with_settings = ", ".join(f"{key}={value}" for key, value in method.fallback.items())
        added |= {f"{name}.{key}": value for key, value in method.fallback.items()}
        sentences.append(
            f"method {name!r} runs with {with_settings}, because generator {generator.name!r} does not offer {lacking}"
        )
    return added, sentences
