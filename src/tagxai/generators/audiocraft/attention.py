"""Attention sites of audiocraft models, edited by forward hooks on an unforked `StreamingMultiheadAttention`.

audiocraft keeps no softmax weights. The hooks recompute them from the module's own arguments, show them to the edits,
and give the edited output through the module's own output projection. The module itself runs once, as ever, so that
its streaming state holds the keys and values of the call; as its output is replaced, it runs on detached inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tagxai.contract.attention import AttentionSite, edit_attention, is_edited, is_scaled, run_edits, scale_rows
from tagxai.contract.query_blocks import in_blocks, later_keys, query_by_query
from tagxai.errors import UnsupportedError
from tagxai.lazy import Bool, torch

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

_recomputed: WeakKeyDictionary[torch.nn.Module, _Recomputed] = WeakKeyDictionary()
_scaled: WeakKeyDictionary[torch.nn.Module, _Scaled] = WeakKeyDictionary()
_lock = RLock()  # blocks of several threads overlap
_text_mask: ContextVar[Any] = ContextVar("tagxai_audiocraft_text_mask", default=None)


@dataclass(frozen=True)
class AudiocraftSite(AttentionSite):
    """A `StreamingMultiheadAttention`; all edits of one module share its hooks, so that each sees what the last did."""

    layer_module: torch.nn.Module = field(repr=False, compare=False)

    @property
    def projection(self) -> torch.nn.Module:
        return self.module.out_proj

    @property
    def block(self) -> torch.nn.Module:
        return self.layer_module

    def check_plain_residual(self) -> None:
        layer: Any = self.layer_module
        if not (layer.norm_first and isinstance(layer.layer_scale_1, torch.nn.Identity)):
            raise UnsupportedError(
                "this audiocraft model's layers normalise or scale what attention adds (norm_first=False or "
                "layer_scale); expected layers that add it as it is"
            )

    def watched(self) -> AbstractContextManager[None]:
        return _shared(_recomputed, self, _Recomputed)

    def scaling(self) -> AbstractContextManager[None]:
        return _shared(_scaled, self, _Scaled)


@contextmanager
def _shared(hooks: WeakKeyDictionary[torch.nn.Module, Any], site: AudiocraftSite, kind: type[_Hooks]) -> Iterator[None]:
    """A module has one set of hooks for all blocks and threads, from the first that enters to the last that leaves."""
    with _lock:
        mine = hooks.get(site.module)
        if mine is None:
            mine = hooks[site.module] = kind(site)
        mine.users += 1
    try:
        yield
    finally:
        with _lock:
            mine.users -= 1
            if not mine.users:
                for handle in mine.handles:
                    handle.remove()
                del hooks[site.module]


def recompute(sites: Iterable[AttentionSite]) -> AbstractContextManager[None]:
    """Attention by plain tensor operations inside the block, with nothing changed."""
    return edit_attention(sites, _nothing)


@query_by_query
def _nothing(site: AttentionSite, weights: torch.Tensor) -> None:
    """An edit that leaves the weights."""


@contextmanager
def hide_padding(sites: Iterable[AttentionSite], mask: Bool[torch.Tensor, "batch tokens"]) -> Iterator[None]:
    """Cross-attention that does not see padding, which audiocraft itself has no mask for: its zeros dilute the rest."""
    token = _text_mask.set(mask)
    try:
        with recompute(sites):
            yield
    finally:
        _text_mask.reset(token)


class _Hooks:
    """Hooks of one attention module, which do nothing in a call that asks for nothing there.

    Such a call may be in a thread that sees the hook go while it runs, and then gives it no options.
    """

    handles: tuple[RemovableHandle, ...]

    def __init__(self, site: AudiocraftSite) -> None:
        self.site, self.users = site, 0


class _Scaled(_Hooks):
    def __init__(self, site: AudiocraftSite) -> None:
        super().__init__(site)
        # before the hooks of edits, which recompute from what they are given
        self.handles = (site.module.register_forward_pre_hook(self.enter, prepend=True, with_kwargs=True),)

    def enter(self, module: Any, arguments: tuple[Any, ...], options: dict[str, Any] | None = None) -> Any:
        if not is_scaled(self.site):
            return None
        query, key, value = arguments  # no bias in cross-attention: scaled inputs are scaled value vectors
        return (query, key, scale_rows(self.site, value)), options


class _Recomputed(_Hooks):
    def __init__(self, site: AudiocraftSite) -> None:
        super().__init__(site)
        self._given: ContextVar[Any] = ContextVar("tagxai_audiocraft_given", default=None)
        self.handles = (
            site.module.register_forward_pre_hook(self.enter, with_kwargs=True),
            site.module.register_forward_hook(self.leave),
        )

    def enter(self, module: Any, arguments: tuple[Any, ...], options: dict[str, Any] | None = None) -> Any:
        if not is_edited(self.site):
            return None
        self._given.set(arguments)
        query, key, value = arguments  # audiocraft gives these by position, and checks that self-attention's are one
        detached = {id(tensor): tensor.detach() for tensor in (query, key, value)}
        return tuple(detached[id(tensor)] for tensor in arguments), options

    def leave(self, module: Any, arguments: tuple[Any, ...], output: tuple[Any, Any]) -> Any:
        given = self._given.get()
        if given is None:
            return None
        self._given.set(None)
        query, key, value = given
        q, k, v = _project(module, query, key, value)
        if module.attention_as_float32:
            q, k, v = q.float(), k.float(), v.float()
        queries, keys = q.shape[2], k.shape[2]
        mask = _text_mask.get() if module.cross_attention else None
        is_causal = module.causal and queries > 1

        def attend(rows: slice) -> torch.Tensor:
            end = rows.stop + keys - queries if is_causal else keys
            seen, values = k[:, :, :end], v[:, :, :end]
            logits = q[:, :, rows] * q.shape[-1] ** -0.5 @ seen.transpose(2, 3)
            if is_causal:
                logits = logits.masked_fill(later_keys(rows, end, logits.device), -torch.inf)
            if mask is not None:
                logits = logits.masked_fill(~mask[:, None, None], -torch.inf)
            return run_edits(self.site, logits.softmax(-1), logits, values).to(v) @ values

        mixed = in_blocks(self.site, queries, len(q) * q.shape[1] * keys, attend).transpose(1, 2).flatten(2)
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
