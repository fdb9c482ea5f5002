"""The method that explains a clip where none is named: `docs/decisions/default-method.md` says why these."""

from __future__ import annotations

from tagxai.contract.generator import Generator


def default_method(generator: Generator | type[Generator]) -> tuple[str, dict[str, str]]:
    """Its name, and its settings as text: of the generator's own choice, or by whether it offers attention."""
    if generator.default_method is not None:
        return generator.default_method, {}
    if "attention" in generator.offers:
        return "share_x_effect", {}
    return "occlusion", {"operator": "delete", "beside": "3"}
