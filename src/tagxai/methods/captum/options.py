"""The options of one of captum's algorithms, and their descriptions, read from the installed captum."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, get_args


class CaptumOption(NamedTuple):
    """One option of an algorithm: its type, its default and captum's own description."""

    type: Any  # a class, or a union of several
    default: Any
    description: str


_PASSED_BY_US = {"inputs", "target", "baselines", "additional_forward_args", "feature_mask"}
_UNUSED = {"return_convergence_delta", "return_input_shape", "show_progress", "enable_cross_tensor_attribution", "abs"}
_OUR_DEFAULTS: Mapping[str, tuple[Any, Any]] = {
    "perturbations_per_eval": (int, 16),  # coalitions in one batch: captum's 1 is slow, and gives the same
    "sliding_window_shapes": (int, 1),
}
_WRITTEN_AS_TEXT = (int, float, bool, str, type(None))


def captum_options(attribute: Callable[..., Any]) -> dict[str, CaptumOption]:
    """The options of captum's function `attribute` that can be written as text, by name."""
    descriptions = _descriptions(attribute)
    options = {}
    for name, parameter in list(inspect.signature(attribute).parameters.items())[1:]:
        if name in _PASSED_BY_US | _UNUSED or parameter.kind is parameter.VAR_KEYWORD:
            continue
        kind, default = _OUR_DEFAULTS.get(name, (_text_types(parameter.annotation), parameter.default))
        if kind is not None:
            options[name] = CaptumOption(kind, default, descriptions.get(name, ""))
    return options


def _text_types(annotation: Any) -> Any:
    """The types of a parameter that can be written as text, as a class or a union; None without any."""
    types = [kind for kind in get_args(annotation) or (annotation,) if kind in _WRITTEN_AS_TEXT]
    if all(kind is type(None) for kind in types):
        return None
    return reduce(or_, sorted(types, key=_WRITTEN_AS_TEXT.index))


def _descriptions(attribute: Callable[..., Any]) -> dict[str, str]:
    """The first sentence about each option in captum's docstring."""
    text = inspect.getdoc(attribute) or ""
    entry = re.compile(
        r"^ *(\w+) *\([^)\n]*(?:\([^)]*\)[^)\n]*)?\) *: *(.*?)(?=^ *\w+ *\([^\n]*\) *:|^Returns|\Z)", re.M | re.S
    )
    return {name: " ".join(body.split()).split(". ")[0].rstrip(".") + "." for name, body in entry.findall(text) if body}
