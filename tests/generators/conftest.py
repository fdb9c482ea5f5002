"""What several tests of generators load."""

import pytest

from tagxai.explaining.loading import load_generator


@pytest.fixture(scope="module")
def latent():
    return load_generator("latent")
