"""A model lent to somebody else's code: whatever that leaves behind in it is put back, and reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from tagxai.contract.generator import Generator
from tagxai.contract.identity import identify, stored_attributes
from tagxai.errors import TagxaiError
from tagxai.lazy import torch

COPIED_UP_TO = 2e9
"""Bytes of weights up to which a copy is kept meanwhile; of larger models only a checksum, so that a change of their
weights can be seen, and not undone."""

LEFT = "it left hooks, gradients or another mode behind in the model"
CHANGED = "it left something behind that changes the model's output"

_spoilt: WeakKeyDictionary[Generator, str] = WeakKeyDictionary()


def check_unspoilt(generator: Generator) -> None:
    """Raises TagxaiError where the weights of a model were changed and could not be put back."""
    if generator in _spoilt:
        raise TagxaiError(f"the model was changed by {_spoilt[generator]}; load it again")


@contextmanager
def model_kept(generator: Generator, borrower: str) -> Iterator[None]:
    """Attributes, settings, hooks, modes and weights are put back when the block ends, however it ends.

    Raises TagxaiError where it ended well and left hooks, gradients, a mode or other weights.
    """
    check_unspoilt(generator)
    modules = [part for model in generator.modules().values() for part in model.modules()]
    owners = [_Attributes(owner) for owner in _owners(generator, modules)]
    tensors = _Weights(generator)
    try:
        yield
    except BaseException:
        _restore(owners, tensors, generator, borrower)
        raise
    left = _restore(owners, tensors, generator, borrower)
    if left:
        raise TagxaiError(left)


@contextmanager
def values_kept(*tensors: torch.Tensor) -> Iterator[None]:
    """Tensors that somebody else's code is shown have the values after the block that they had before."""
    copies = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        for tensor, copy in zip(tensors, copies, strict=True):
            if tensor.shape != copy.shape or not torch.equal(tensor, copy):
                tensor.data = copy


def _restore(owners: list[_Attributes], tensors: _Weights, generator: Generator, borrower: str) -> str:
    """Put everything back; returns a sentence about what was changed, empty if hooks, modes and weights were not."""
    changed = [owner.restore() for owner in owners]
    changed.append(tensors.restore_flags())
    left = LEFT if any(changed) else ""
    if tensors.changed():
        left = CHANGED
        if not tensors.restore():
            _spoilt[generator] = borrower
    return left


def _owners(generator: Generator, modules: list[Any]) -> Iterator[Any]:
    """Everything whose attributes belong to the model: itself, its modules, and their configurations."""
    seen: set[int] = set()
    every = [generator, *modules, *(value for value in vars(generator).values() if hasattr(value, "__dict__"))]
    every += [value for part in modules for value in vars(part).values() if hasattr(value, "to_dict")]
    every += [_GlobalHooks()]
    for owner in every:
        if id(owner) not in seen and hasattr(owner, "__dict__") and not isinstance(owner, (type, torch.Tensor)):
            seen.add(id(owner))
            yield owner


class _GlobalHooks:
    """The hooks of `torch.nn.modules.module.register_module_...`, for which PyTorch has no public list."""

    def __init__(self) -> None:
        for kind in ("forward", "forward_pre", "backward", "backward_pre"):
            name = f"_global_{kind}_hooks"
            setattr(self, name, getattr(torch.nn.modules.module, name))


class _Attributes:
    """The attributes of one object, with the contents of its tables and lists."""

    def __init__(self, owner: Any) -> None:
        self.owner, self.before, self.kind = owner, dict(vars(owner)), type(owner)
        self.rules = {name: value.to_str() for name, value in self.before.items() if _is_backend(value)}
        self.contents = {
            name: type(value)(value) for name, value in self.before.items() if isinstance(value, (dict, list, set))
        }

    def restore(self) -> bool:
        """Put them back; whether hooks or the mode were changed."""
        if type(self.owner) is not self.kind:  # PyTorch's parametrizations give a module a class of its own
            self.owner.__class__ = self.kind
        now, changed = vars(self.owner), False
        for name in now.keys() - self.before.keys():
            if not _is_cached(self.owner, name):
                del now[name]
        for name, value in self.before.items():
            if now.get(name, _MISSING) is not value:
                changed |= name == "training"
                now[name] = value
        for name, rules in self.rules.items():
            if now[name].to_str() != rules:
                now[name] = type(now[name]).from_str(rules)
        for name, content in self.contents.items():
            found = self.before[name]
            if len(found) != len(content) or not _same_members(found, content):
                changed |= "hooks" in name
                found.clear()
                found.extend(content) if isinstance(found, list) else found.update(content)
        return changed


_MISSING = object()


def _is_backend(value: Any) -> bool:
    """Whether it is a tokenizer of the library tokenizers: an object without attributes that is changed in place."""
    return type(value).__module__.partition(".")[0] == "tokenizers" and hasattr(value, "to_str")


def _is_cached(owner: Any, name: str) -> bool:
    """Whether an attribute is a property's memory, which may come at any time."""
    return hasattr(getattr(type(owner), name, None), "attrname")


def _same_members(found: Any, content: Any) -> bool:
    if isinstance(found, dict):
        return found.keys() == content.keys() and all(found[key] is content[key] for key in content)
    if isinstance(found, list):
        return all(a is b for a, b in zip(found, content, strict=True))
    return bool(found == content)


class _Weights:
    """The tensors of a model, as a copy or a checksum, and which of them need or have gradients."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        models = list(generator.modules().values())
        loose = [value for value in vars(generator).values() if isinstance(value, torch.Tensor)]
        found = [*loose, *(t for model in models for t in (*model.parameters(), *model.buffers()))]
        self.tensors = [tensor for tensor in found if tensor.device.type != "meta"]
        self.flags = [(tensor, tensor.requires_grad, tensor.grad) for tensor in self.tensors if tensor.is_leaf]
        size = sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)
        self.copies = [tensor.detach().clone() for tensor in self.tensors] if size <= COPIED_UP_TO else None
        self.checksum = "" if self.copies is not None else self._checksum()

    def _checksum(self) -> str:
        return identify(stored_attributes(self.generator), "").weights

    def restore_flags(self) -> bool:
        changed = False
        for tensor, needs, gradient in self.flags:
            if tensor.requires_grad != needs or tensor.grad is not gradient:
                changed = True
                tensor.grad = gradient
                tensor.requires_grad_(needs)
        return changed

    def changed(self) -> bool:
        if self.copies is None:
            return self._checksum() != self.checksum
        pairs = zip(self.tensors, self.copies, strict=True)
        return not all(a.shape == b.shape and a.dtype == b.dtype and torch.equal(_bits(a), _bits(b)) for a, b in pairs)

    def restore(self) -> bool:
        """Whether they could be put back."""
        if self.copies is None:
            return False
        with torch.no_grad():
            for tensor, copy in zip(self.tensors, self.copies, strict=True):
                tensor.data = copy
        return True


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """As whole numbers, of which NaN equals NaN."""
    plain = tensor.detach()
    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return plain.contiguous().view(kinds[plain.element_size()]) if plain.element_size() in kinds else plain
