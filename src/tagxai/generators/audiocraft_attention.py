"""Attention sites of audiocraft models, edited by a forward hook on an unforked `StreamingMultiheadAttention`.

audiocraft keeps no softmax weights. The hook recomputes them from the module's own arguments, shows them to the edits,
and gives the edited output through the module's own output projection. The module has then run once, as ever, so its
streaming state already holds the keys and values of this call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from jaxtyping import Bool

from tagxai.hooks import AttentionSite, Edit, edit_attention, run_edits
from tagxai.lazy import torch

_edits: WeakKeyDictionary[torch.nn.Module, list[tuple[AttentionSite, Edit]]] = WeakKeyDictionary()
_text_mask: ContextVar[Any] = ContextVar("tagxai_audiocraft_text_mask", default=None)


@dataclass(frozen=True)
class AudiocraftSite(AttentionSite):
    """A `StreamingMultiheadAttention`; all edits of one module share one hook, so that each sees what the last did."""

    module: torch.nn.Module = field(repr=False, compare=False)

    @contextmanager
    def hooked(self, edit: Edit) -> Iterator[None]:
        installed = _edits.setdefault(self.module, [])
        handle = None if installed else self.module.register_forward_hook(_attend, with_kwargs=True)
        installed.append((self, edit))
        try:
            yield
        finally:
            installed.pop()
            if handle is not None:
                handle.remove()
                del _edits[self.module]


@contextmanager
def hide_padding(sites: Iterable[AttentionSite], mask: Bool[torch.Tensor, "batch tokens"]) -> Iterator[None]:
    """Cross-attention that does not see padding, which audiocraft itself has no mask for: its zeros dilute the rest."""
    token = _text_mask.set(mask)
    try:
        with edit_attention(sites, lambda site, weights: None):  # recomputed weights heed the mask
            yield
    finally:
        _text_mask.reset(token)


def _attend(module: Any, arguments: tuple[Any, ...], options: dict[str, Any], output: tuple[Any, Any]) -> Any:
    """The output of `module.forward` (`[batch, queries, dim]`, None) under the edits installed at it."""
    named = dict(zip(("query", "key", "value"), arguments, strict=False)) | options
    query = named["query"]
    q, k, v = _project(module, query, named["key"], named["value"])
    if module.attention_as_float32:
        q, k, v = q.float(), k.float(), v.float()
    logits = q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)
    if module.causal and q.shape[2] > 1:
        future = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(1 + k.shape[2] - q.shape[2])
        logits = logits.masked_fill(future, -torch.inf)
    if module.cross_attention and (mask := _text_mask.get()) is not None:
        logits = logits.masked_fill(~mask[:, None, None], -torch.inf)
    weights = logits.softmax(-1)
    for site, edit in _edits[module]:
        weights = run_edits([edit], site, weights)
    mixed = (weights.to(v) @ v).transpose(1, 2).flatten(2)
    return module.out_proj(mixed.to(query)), output[1]


def _project(module: Any, *inputs: torch.Tensor) -> list[torch.Tensor]:
    """q, k and v as `[batch, heads, time, width]`, the past of a streaming call included."""
    from audiocraft.modules.transformer import _get_attention_time_dimension

    biases = [None] * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    projected = [
        torch.nn.functional.linear(given, weight, bias).unflatten(-1, (module.num_heads, -1)).transpose(1, 2)
        for given, weight, bias in zip(inputs, module.in_proj_weight.chunk(3), biases, strict=True)
    ]
    past = module._streaming_state
    if not module.cross_attention and past:
        time = _get_attention_time_dimension(module.memory_efficient)
        projected[1:] = [past[name].transpose(time, 2) for name in ("past_keys", "past_values")]
    return projected
