"""Attention sites of diffusers' models: in a watched block, a processor that asks for edits stands in for their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from jaxtyping import Float

from tagxai.contract.attention import is_edited, is_scaled
from tagxai.generators.latents.sites import LatentSite
from tagxai.lazy import torch

_watched: WeakKeyDictionary[torch.nn.Module, int] = WeakKeyDictionary()
_lock = RLock()  # blocks of several threads overlap


class Editing(ABC):
    """A processor in place of a module's `own`, which runs as it is in every call that has no edit.

    It holds nothing of its callers, whose contexts say what is edited.
    """

    def __init__(self, site: ProcessorSite, own: Any) -> None:
        self.site, self.own = site, own

    def to_dict(self) -> dict[str, str]:
        """What a model's identity says of its processor, watched or not."""
        return {"class": type(self.own).__qualname__}

    @property
    def is_asked(self) -> bool:
        return is_edited(self.site) or is_scaled(self.site)

    @abstractmethod
    def __call__(self, attn: Any, hidden_states: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor: ...

    def mixed(
        self,
        query: Float[torch.Tensor, "rows heads queries width"],
        key: Float[torch.Tensor, "rows heads keys width"],
        value: Float[torch.Tensor, "rows heads keys width"],
    ) -> Float[torch.Tensor, "rows queries heads_width"]:
        """Attention after this call's edits, heads side by side."""
        values = self.site.scaled(value) if is_scaled(self.site) else value
        if is_edited(self.site):
            logits = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
            weights = self.site.edited(logits.softmax(-1), logits, value)
            mix = weights.to(values.dtype) @ values
        else:
            mix = torch.nn.functional.scaled_dot_product_attention(query, key, values)
        return mix.transpose(1, 2).flatten(2)


@dataclass(frozen=True)
class ProcessorSite(LatentSite):
    """A module with a `processor`, whose layer adds what its output projection gives."""

    layer_module: torch.nn.Module
    editing: type[Editing]

    @property
    def projection(self) -> torch.nn.Module:
        return self.module.to_out[0]

    @property
    def block(self) -> torch.nn.Module:
        return self.layer_module

    def check_plain_residual(self) -> None:
        """The layer adds it as it is."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        with _lock:
            _watched[self.module] = _watched.get(self.module, 0) + 1
            if not isinstance(self.module.processor, Editing):
                self.module.processor = self.editing(self, self.module.processor)
        try:
            yield
        finally:
            with _lock:
                _watched[self.module] -= 1
                if not _watched[self.module]:
                    del _watched[self.module]
                    self.module.processor = self.module.processor.own

    def scaling(self) -> Any:
        return self.watched()
