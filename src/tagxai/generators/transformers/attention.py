"""Attention sites of transformers models, edited through the library's own `AttentionInterface`.

While a site is watched, its model's attention implementation is tagxai's function: it recomputes the softmax weights
where this call has an edit, and hands every other module and call to SDPA, as the model itself would. Afterwards the
model has its own implementation back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from tagxai.contract.attention import AttentionSite, at, is_edited, is_scaled, position, run_edits, scale_rows
from tagxai.contract.query_blocks import in_blocks, later_keys
from tagxai.lazy import torch

IMPLEMENTATION = "tagxai"

_watched: WeakKeyDictionary[torch.nn.Module, list[TransformersSite]] = WeakKeyDictionary()
_own_implementation: dict[int, str] = {}  # of a config, by its id, while a module of its model is watched
_lock = RLock()  # blocks of several threads overlap


@dataclass(frozen=True)
class TransformersSite(AttentionSite):
    """An attention module whose `config` it shares with the rest of its model."""

    layer_module: torch.nn.Module = field(repr=False, compare=False)
    output: str = field(default="out_proj", kw_only=True)
    """What the module calls its output projection."""

    @property
    def projection(self) -> torch.nn.Module:
        return getattr(self.module, self.output)

    @property
    def block(self) -> torch.nn.Module:
        return self.layer_module

    def check_plain_residual(self) -> None:
        """The layers of MusicGen and Dia in transformers are all pre-norm."""

    def edited(self, weights: torch.Tensor, logits: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """`weights` after the edits of this call; a joint site shows those the text's tokens alone."""
        return run_edits(self, weights, logits, values)

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

    def scaling(self) -> AbstractContextManager[None]:
        return self.watched()


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
    parts = position().parts if site is not None and site.kind == "cross" else ()
    if not parts:
        return _attend(site, module, query, key, value, attention_mask, scaling, **kwargs)
    outputs, where = [], position()
    queries = query.split([part.rows.stop - part.rows.start for part in parts])  # one gradient for all
    for part, mine in zip(parts, queries, strict=True):  # the keys beyond `tokens` are padding
        read = (mine, key[part.rows, :, : part.tokens], value[part.rows, :, : part.tokens])
        with at(where.of(part)):
            outputs.append(_attend(site, module, *read, None, scaling, **kwargs)[0])
    return torch.cat(outputs), None


def _attend(
    site: TransformersSite | None,
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    if site is not None and is_scaled(site):
        value = scale_rows(site, value)
    if site is None or not is_edited(site):
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    if query.shape[1] != key.shape[1]:  # several query heads share a key head
        key, value = (each.repeat_interleave(query.shape[1] // each.shape[1], 1) for each in (key, value))
    queries, keys = query.shape[2], key.shape[2]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Without a mask, transformers leaves it to SDPA's own flag.
    is_causal = attention_mask is None and getattr(module, "is_causal", False) and queries > 1

    def attend(rows: slice) -> torch.Tensor:
        end = rows.stop + keys - queries if is_causal else keys
        seen, values = key[:, :, :end], value[:, :, :end]
        logits = query[:, :, rows] @ seen.transpose(2, 3) * scale
        blocked = torch.finfo(logits.dtype).min
        if attention_mask is not None:
            mask = attention_mask[:, :, rows] if attention_mask.shape[2] == queries else attention_mask
            logits = logits.masked_fill(~mask, blocked) if mask.dtype == torch.bool else logits + mask
        elif is_causal:
            logits = logits.masked_fill(later_keys(rows, end, logits.device), blocked)
        return site.edited(logits.softmax(-1), logits, values) @ values

    mixed = in_blocks(site, queries, len(query) * query.shape[1] * keys, attend)
    return mixed.transpose(1, 2).contiguous(), None
