"""What tests of commands share: a model that is not loaded again, or none at all."""

import pytest


@pytest.fixture
def loads(monkeypatch, generator):
    """The random model under every name, without loading it again; counts how often it was asked for."""
    asked = []

    def load(spec, **options):
        asked.append(spec)
        return generator

    monkeypatch.setattr("tagxai.cli.options.load_generator", load)
    return asked


@pytest.fixture
def nothing_is_made(monkeypatch):
    """Loading a model is an error: what is cheap to check must be found before."""

    def refuse(*arguments, **options):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("tagxai.cli.options.load_generator", refuse)
