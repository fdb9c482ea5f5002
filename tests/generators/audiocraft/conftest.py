"""A small random AudioGen, and a clip of it."""

import pytest

PROMPT = "a dog barks while rain falls"


@pytest.fixture
def generator(audiocraft_generator):
    return audiocraft_generator


@pytest.fixture(scope="package")
def generation(audiocraft_generator):
    return audiocraft_generator.generate(PROMPT, duration=0.6, seed=3)
