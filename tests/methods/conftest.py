"""What several tests of methods explain."""

import pytest
from gradient_cases import of_frames

from tagxai.contract.run import Run


@pytest.fixture(scope="module")
def conditioning(generator, generation):
    return generator.encode_prompt([generation.prompt])


@pytest.fixture(scope="module")
def short(generator, generation):
    """The first 3 frames of the clip: 12 codes, fewer than a token has dimensions."""
    return of_frames(generation, 3)


@pytest.fixture
def run(generator, generation):
    with Run.opened(generator, generation, None) as run:
        yield run
