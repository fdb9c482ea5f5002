"""Attention sites of transformers models, edited through the library's own `AttentionInterface`.

Inside `hooked` the model's attention implementation is tagxai's function: it recomputes the softmax weights where an
edit is installed and hands every other module to SDPA. Afterwards the model has its own implementation back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from jaxtyping import Float

from tagxai.contract.attention import AttentionSite, Edit, run_edits, scale_rows
from tagxai.lazy import torch

IMPLEMENTATION = "tagxai"

_edits: WeakKeyDictionary[torch.nn.Module, tuple[_Installed, ...]] = WeakKeyDictionary()
_own_implementation: dict[int, str] = {}  # of a config, by its id, while a module of its model is edited


@dataclass(frozen=True)
class TransformersSite(AttentionSite):
    """An attention module whose `config` it shares with the rest of its model."""

    module: torch.nn.Module = field(repr=False, compare=False)
    layer_module: torch.nn.Module = field(repr=False, compare=False)

    @property
    def projection(self) -> torch.nn.Linear:
        return self.module.out_proj  # type: ignore[return-value]

    @property
    def block(self) -> torch.nn.Module:
        return self.layer_module

    def check_plain_residual(self) -> None:
        """MusicGen's layers in transformers are all pre-norm."""

    @contextmanager
    def hooked(self, edit: Edit) -> Iterator[None]:
        _register()
        config: Any = self.module.config
        mine = _Installed(self, edit)
        if config._attn_implementation != IMPLEMENTATION:
            _own_implementation[id(config)] = config._attn_implementation
        config._attn_implementation = IMPLEMENTATION
        _edits[self.module] = (*_edits.get(self.module, ()), mine)
        try:
            yield
        finally:  # whatever the order in which blocks end, each takes away its own edit
            left = tuple(other for other in _edits[self.module] if other is not mine)
            if left:
                _edits[self.module] = left
            else:
                del _edits[self.module]
            if not any(module.config is config for module in _edits):
                config._attn_implementation = _own_implementation.pop(id(config))

    @contextmanager
    def scaled(self, scale: Float[torch.Tensor, "batch keys"]) -> Iterator[None]:
        projection: Any = self.module.v_proj
        handle = projection.register_forward_hook(lambda module, given, values: scale_rows(values, scale))
        try:
            yield
        finally:
            handle.remove()


@dataclass(frozen=True, eq=False)
class _Installed:
    site: AttentionSite
    edit: Edit


@cache
def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(IMPLEMENTATION, _attention)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """transformers' attention function: `[batch, heads, queries, width]` in, `[batch, queries, heads, width]` out."""
    installed = _edits.get(module)
    if not installed:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    logits = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        blocked = torch.finfo(logits.dtype).min
        logits = (
            logits.masked_fill(~attention_mask, blocked)
            if attention_mask.dtype == torch.bool
            else logits + attention_mask
        )
    elif getattr(module, "is_causal", False) and query.shape[2] > 1:  # transformers leaves the mask to SDPA's own flag
        future = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(
            1 + key.shape[2] - query.shape[2]
        )
        logits = logits.masked_fill(future, torch.finfo(logits.dtype).min)
    weights = logits.softmax(-1)
    for each in installed:
        weights = run_edits([each.edit], each.site, weights, logits, value)
    return (weights @ value).transpose(1, 2).contiguous(), weights
