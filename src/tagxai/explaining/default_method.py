"""The method that explains a clip where none is named: `docs/decisions/default-method.md` says why these."""

from __future__ import annotations

from tagxai.contract.generator import Generator
from tagxai.errors import UnsupportedError
from tagxai.probing.zeroed_values import check_layers


def default_method(generator: Generator | type[Generator]) -> tuple[str, dict[str, str]]:
    """Its name, and its settings as text: of the generator's own choice, or by whether it offers attention."""
    if generator.default_method is not None:
        return generator.default_method, {}
    if "attention" in generator.offers and _shows_layers(generator):
        return "share_x_effect", {}
    return "occlusion", {"operator": "delete", "beside": "3"}


def _shows_layers(generator: Generator | type[Generator]) -> bool:
    """Whether the layers around a loaded generator's attention can be run again; of a class that is not known."""
    if isinstance(generator, Generator):
        try:
            check_layers(generator.cross_attention())
        except UnsupportedError:
            return False
    return True
