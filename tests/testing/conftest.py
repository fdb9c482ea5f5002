"""A generator that a test may spoil."""

import pytest
from conformance_cases import LEFT

from tagxai.generators.transformers.model import TransformersGenerator


@pytest.fixture
def own_generator(random_model):
    """A generator that a test may spoil."""
    yield TransformersGenerator.load(str(random_model))
    while LEFT:
        LEFT.pop().__exit__(None, None, None)
