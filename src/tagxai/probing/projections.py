"""The numbers of an attention module's output projection, also where it is quantised."""

from __future__ import annotations

from typing import Any

from tagxai.contract.attention import AttentionSite
from tagxai.errors import UnsupportedError
from tagxai.lazy import Float, torch


def output_weight(site: AttentionSite) -> Float[torch.Tensor, "outputs inputs"]:
    """Its weight in float32. Raises UnsupportedError where a library has packed it in a way of its own."""
    projection: Any = site.projection
    weight = _numbers(projection.weight)
    if not isinstance(weight, torch.Tensor) or not weight.is_floating_point():
        raise UnsupportedError(
            f"the output projection of attention site {site.name!r} is quantised ({type(weight).__name__}) in a way "
            "that its numbers cannot be read; use a model that is not quantised"
        )
    return weight.float()


def output_bias(site: AttentionSite) -> Float[torch.Tensor, " outputs"] | None:
    """Its bias, if it has one."""
    projection: Any = site.projection
    return _numbers(projection.bias)


def _numbers(held: Any) -> Any:
    held = held() if callable(held) and not isinstance(held, torch.Tensor) else held  # a method, in torch.ao's modules
    is_packed = isinstance(held, torch.Tensor) and (
        held.is_quantized or type(held) not in (torch.Tensor, torch.nn.Parameter)
    )
    return held.dequantize() if is_packed and held.dtype != torch.int8 else held
