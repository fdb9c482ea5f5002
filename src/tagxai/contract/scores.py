"""What a method finds, before it becomes an `Attribution`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float

from tagxai.lazy import torch


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
