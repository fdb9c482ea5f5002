"""What a method finds, before it becomes an `Attribution`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, torch


@dataclass(frozen=True, eq=False)
class Scores:
    """`values` of each stream, frame and token; one stream where a method does not resolve them.

    `is_mask` says that the values are gates in [0, 1] as they stand. `merge` says how the tokens of one word join: the
    mean for masks, the sum for scores that add up. `deviation` is the standard deviation of each value where they are
    the mean over several seeds. `used` are settings whose value the method chose (an option of None stands for it);
    `diagnostics` is what else there is to say: a loss curve, an error of completeness.
    """

    values: Float[torch.Tensor, "streams frames tokens"]
    is_mask: bool = False
    merge: Literal["mean", "sum"] = "sum"
    deviation: Float[torch.Tensor, "streams frames tokens"] | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    used: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def mask(cls, values: Float[torch.Tensor, "streams frames tokens"], **rest: Any) -> Scores:
        """Gates in [0, 1], of which a word has the mean of its tokens."""
        return cls(values, is_mask=True, merge="mean", **rest)


def check_scores(what: str, found: Any, clip: Generation, remedy: str = "") -> None:
    """Raises TagxaiError, which begins with `what`, for anything but scores of a clip; `remedy` is for NaN."""
    if not isinstance(found, Scores):
        raise TagxaiError(f"{what} gave {type(found).__name__}, not Scores")
    check_numbers(f"{what} gave scores that", found.values, clip, remedy)
    if found.deviation is not None:
        check_numbers(f"{what} gave a deviation that", found.deviation, clip, remedy)
        if found.deviation.shape != found.values.shape:
            raise TagxaiError(f"{what} gave a deviation whose shape is not that of its scores")
    if found.merge not in ("sum", "mean"):
        raise TagxaiError(f"{what} gave scores with merge={found.merge!r}; expected 'sum' or 'mean'")
    if not isinstance(found.is_mask, bool):
        raise TagxaiError(f"{what} gave scores with is_mask={found.is_mask!r}; expected True or False")
    for name in ("diagnostics", "used"):
        if not isinstance(getattr(found, name), Mapping):
            raise TagxaiError(f"{what} gave scores whose {name} are {type(getattr(found, name)).__name__}, not a dict")


def check_numbers(what: str, values: Any, clip: Generation, remedy: str = "") -> None:
    """Raises TagxaiError unless they are finite real numbers of each stream (or of one), frame and token."""
    if not isinstance(values, torch.Tensor):
        raise TagxaiError(f"{what} are {type(values).__name__}, not a tensor")
    if values.dtype == torch.bool or values.is_complex():
        raise TagxaiError(f"{what} are of {str(values.dtype).removeprefix('torch.')}, not real numbers")
    expected = (clip.frames, len(clip.tokens))
    if values.ndim != 3 or values.shape[0] not in (1, clip.streams) or tuple(values.shape[1:]) != expected:
        raise TagxaiError(
            f"{what} have the shape {tuple(values.shape)} and do not fit a generation of {clip.streams} streams, "
            f"{clip.frames} frames and {len(clip.tokens)} tokens"
        )
    if values.layout != torch.strided or not torch.isfinite(values.detach()).all():
        raise TagxaiError(f"{what} hold NaN or infinity{remedy}")
