"""Encodings that many passes over one clip share: computed once, and again when a weight was changed in place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from weakref import WeakKeyDictionary

from tagxai.contract.generator import Generator
from tagxai.contract.identity import changes
from tagxai.lazy import torch

AT_MOST = 16
"""Encodings that are kept for a generator."""

_known: WeakKeyDictionary[Generator, OrderedDict[Hashable, torch.Tensor]] = WeakKeyDictionary()


def remembered(generator: Generator, key: Hashable, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
    """What `compute` gave for this `key` with the weights as they are, without gradients."""
    kept, whole = _known.setdefault(generator, OrderedDict()), (key, changes(generator.modules().values()))
    found = kept.get(whole)
    if found is None:
        with torch.no_grad():
            found = compute()
        while len(kept) >= AT_MOST:
            kept.popitem(last=False)
        kept[whole] = found
    return found
