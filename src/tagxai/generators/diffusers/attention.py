"""Attention sites of diffusers' models: in a watched block, a processor that asks for edits stands in for their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from tagxai.contract.attention import is_edited, is_scaled
from tagxai.errors import UnsupportedError
from tagxai.generators.latents.sites import LatentSite
from tagxai.lazy import Float, torch

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
    def __call__(self, *given: Any, **named: Any) -> torch.Tensor: ...

    def mixed(
        self,
        pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
        value: Float[torch.Tensor, "rows heads keys width"],
        bias: Float[torch.Tensor, "#rows #heads #queries keys"] | None = None,
    ) -> Float[torch.Tensor, "rows queries heads_width"]:
        """Attention after this call's edits, heads side by side; `bias` is added to its logits.

        `pairs` are queries and keys, `[rows, heads, queries or keys, width]`; of two, as in differential attention, the
        weights of the second are subtracted from those of the first.
        """
        values = self.site.scaled(value) if is_scaled(self.site) else value
        if is_edited(self.site):
            logits = [query @ key.transpose(2, 3) * query.shape[-1] ** -0.5 for query, key in pairs]
            logits = logits if bias is None else [each + bias for each in logits]
            weights = self.site.edited(_difference([each.softmax(-1) for each in logits]), logits[0], value)
            mix = weights.to(values.dtype) @ values
        else:
            fused = torch.nn.functional.scaled_dot_product_attention
            mix = _difference([fused(query, key, values, attn_mask=bias) for query, key in pairs])
        return mix.transpose(1, 2).flatten(2)


def _difference(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else parts[0] - parts[1]


@dataclass(frozen=True)
class ProcessorSite(LatentSite):
    """A module with a `processor`."""

    layer_module: torch.nn.Module
    editing: type[Editing]
    scales: bool = field(default=False, kw_only=True)
    """Whether the layer scales what the output projection gives before it adds it."""

    @property
    def projection(self) -> torch.nn.Module:
        out = self.module.to_out
        return out[0] if isinstance(out, torch.nn.ModuleList) else out

    @property
    def block(self) -> torch.nn.Module:
        return self.layer_module

    def check_plain_residual(self) -> None:
        if self.scales:
            raise UnsupportedError(
                f"attention site {self.name!r} is scaled by the noise level (AdaLN) before its layer adds it; expected "
                "layers that add it as it is"
            )

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
