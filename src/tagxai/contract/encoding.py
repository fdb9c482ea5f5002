"""The encoding of a clip's own prompt, remembered while clip and generator live: a prompt is encoded once."""

from __future__ import annotations

from weakref import ReferenceType, WeakKeyDictionary, ref

from tagxai.contract.generator import Generator
from tagxai.contract.identity import changes
from tagxai.contract.values import Conditioning, Generation
from tagxai.lazy import torch

_Known = tuple["ReferenceType[Generator]", int, Conditioning]
_encoded: WeakKeyDictionary[Generation, _Known] = WeakKeyDictionary()


def conditioning_of(generator: Generator, generation: Generation) -> Conditioning:
    """The generation's prompt as this generator encodes it.

    A copy of a generator, or one whose weights have been changed in place since, encodes it again.
    """
    known = _encoded.get(generation)
    if known is not None:
        owner, version, conditioning = known
        if owner() is generator and version == changes(generator.modules().values()):
            return conditioning
    with torch.no_grad():
        conditioning = generator.encode_prompt([generation.prompt])
    remember_conditioning(generator, generation, conditioning)
    return conditioning


def remember_conditioning(generator: Generator, generation: Generation, conditioning: Conditioning) -> None:
    """For callers that have encoded a clip's prompt already."""
    _encoded[generation] = ref(generator), changes(generator.modules().values()), conditioning
