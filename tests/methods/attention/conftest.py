"""A random model of each backend, a clip, and all of its attention weights."""

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.probing.edits import Capture


@pytest.fixture(scope="package", params=["transformers", "audiocraft"])
def generator(request, generator):
    return generator if request.param == "transformers" else request.getfixturevalue("audiocraft_generator")


@pytest.fixture(scope="package")
def generation(generator):
    return generator.generate("a dog barks while rain falls", duration=0.6, seed=3)


@pytest.fixture(scope="package")
def maps(generator, generation):
    """All weights: self-attention [layers, heads, steps, steps] and cross-attention [layers, heads, steps, tokens]."""
    found = {}
    for kind in ("self", "cross"):
        capture = Capture(keep_layers=True, keep_heads=True)
        with torch.no_grad(), edit_attention([s for s in generator.attention_sites() if s.kind == kind], capture):
            generator.hidden_states(generation)
        found[kind] = capture.weights()[0]
    return found
