"""Attention sites of transformers models, edited through the library's own `AttentionInterface`.

Inside `hooked` the model's attention implementation is tagxai's function: it recomputes the softmax weights where an
edit is installed and hands every other module to SDPA. Afterwards the model has its own implementation back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from tagxai.contract.attention import AttentionSite, is_edited, run_edits, scale_rows
from tagxai.lazy import torch

IMPLEMENTATION = "tagxai"

_watched: WeakKeyDictionary[torch.nn.Module, list[TransformersSite]] = WeakKeyDictionary()
_own_implementation: dict[int, str] = {}  # of a config, by its id, while a module of its model is watched
_lock = RLock()  # blocks of several threads overlap


@dataclass(frozen=True)
class TransformersSite(AttentionSite):
    """An attention module whose `config` it shares with the rest of its model."""

    layer_module: torch.nn.Module = field(repr=False, compare=False)

    @property
    def projection(self) -> torch.nn.Linear:
        return self.module.out_proj

    @property
    def block(self) -> torch.nn.Module:
        return self.layer_module

    def check_plain_residual(self) -> None:
        """MusicGen's layers in transformers are all pre-norm."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        _register()
        config = self.module.config
        with _lock:
            if config._attn_implementation != IMPLEMENTATION:
                _own_implementation[id(config)] = config._attn_implementation
            _watched.setdefault(self.module, []).append(self)
            config._attn_implementation = IMPLEMENTATION
        try:
            yield
        finally:
            with _lock:
                _watched[self.module].pop()
                if not _watched[self.module]:
                    del _watched[self.module]
                if not any(module.config is config for module in _watched):
                    config._attn_implementation = _own_implementation.pop(id(config))

    @contextmanager
    def scaling(self) -> Iterator[None]:
        handle = self.module.v_proj.register_forward_hook(lambda module, given, values: scale_rows(self, values))
        try:
            yield
        finally:
            handle.remove()


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
    site = next(iter(_watched.get(module, ())), None)
    if site is None or not is_edited(site):
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
    weights = run_edits(site, weights, logits, value)
    return (weights @ value).transpose(1, 2).contiguous(), weights
