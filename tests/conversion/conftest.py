"""A checkpoint of each format, converted to the other."""

import pytest

from tagxai.conversion import convert


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("converted")


@pytest.fixture(scope="package")
def musicgen(folder, audiocraft_model):
    """The audiocraft checkpoint in transformers format."""
    return convert(str(audiocraft_model), folder / "musicgen", to="transformers").folder


@pytest.fixture(scope="package")
def audiogen(folder, random_model):
    """The transformers checkpoint in audiocraft format."""
    return convert(str(random_model), folder / "audiogen", to="audiocraft").folder
