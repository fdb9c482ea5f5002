"""Models of transformers and diffusers with every weight from the checkpoint: none made up, none dropped unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tagxai.errors import TagxaiError


def read_whole(kind: Any, source: str, **options: Any) -> Any:
    """`kind.from_pretrained(source, **options)`. Raises TagxaiError where the weights do not fit the configuration.

    The libraries themselves draw weights that are missing at random, and drop those that they do not know.
    """
    model, loaded = kind.from_pretrained(source, output_loading_info=True, **options)
    check_whole(source, loaded, made=(name for name, _ in model.named_buffers()))
    return model


def check_whole(source: str, loaded: Mapping[str, Any], *, made: Iterable[str] = ()) -> None:
    """Raises TagxaiError by what a library says that it has `loaded`; the model has `made` these tensors itself."""
    reshaped, own = {name for name, *_ in loaded["mismatched_keys"]}, set(made)
    for problem, found in (
        ("lacks", set(loaded["missing_keys"]) - reshaped),
        ("has the unexpected", loaded["unexpected_keys"]),
        ("has, of another shape,", reshaped),
    ):
        names = sorted(set(found) - own)
        if names:
            raise TagxaiError(
                f"model {source!r} {problem} {names[0]!r}{f' and {len(names) - 1} more' if names[1:] else ''}, so its "
                "weights do not fit its configuration"
            )
