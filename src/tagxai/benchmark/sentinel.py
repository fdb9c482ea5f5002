"""Notices a model that a method did not leave as it found it."""

from __future__ import annotations

from typing import Any

from tagxai.contract.attention import edit_attention, installed_edits
from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.explaining.prompts import encode
from tagxai.lazy import torch


class Sentinel:
    """Notices what a method leaves behind in the model: hooks, edits, weights or modes that change its output."""

    def __init__(self, generator: Generator, clip: Generation) -> None:
        self.generator, self.clip = generator, clip
        self.outputs, self.modules, self.blocks = self._outputs(), self._modules(), installed_edits()
        self.hooks = [dict(hooks) for hooks in _hooks_of_all_modules()]

    def check(self, *, outputs: bool = True) -> None:
        """Raises TagxaiError. Without `outputs`, which takes a pass, only what can be seen on the modules counts."""
        hooks = [dict(hooks) for hooks in _hooks_of_all_modules()]
        if self._modules() != self.modules or installed_edits() != self.blocks or hooks != self.hooks:
            raise TagxaiError("it left hooks, gradients or another mode behind in the model")
        if outputs and not torch.allclose(self._outputs(), self.outputs, atol=1e-3, rtol=1e-3):
            raise TagxaiError("it left something behind that changes the model's output")

    def clear(self) -> None:
        """Remove the hooks that PyTorch runs for all modules, which loading the model again would not remove."""
        for hooks, before in zip(_hooks_of_all_modules(), self.hooks, strict=True):
            for name in hooks.keys() - before.keys():
                del hooks[name]

    @torch.no_grad()
    def _outputs(self) -> torch.Tensor:
        """The output of a pass that also looks at attention: some edits act only once hooks are in use."""
        sites = self.generator.attention_sites()
        with edit_attention(sites, lambda site, weights: None):
            # encoded again, not remembered: what was done to the text encoder counts too
            return self.generator.forward(self.clip, encode(self.generator, self.clip.prompt)).log_prob

    def _modules(self) -> list[tuple[int, int, int, int, bool]]:
        return [
            (
                len(part._forward_hooks),
                len(part._forward_pre_hooks),
                len(part._backward_hooks),
                len(part._backward_pre_hooks),
                part.training or any(weight.requires_grad for weight in part.parameters(recurse=False)),
            )
            for model in self.generator.modules().values()
            for part in model.modules()
        ]


def _hooks_of_all_modules() -> list[dict[int, Any]]:
    """The hooks of `torch.nn.modules.module.register_module_...`, for which PyTorch has no public list."""
    kinds = ("forward", "forward_pre", "backward", "backward_pre")
    return [getattr(torch.nn.modules.module, f"_global_{kind}_hooks") for kind in kinds]
