"""Shapes and types are checked while the tests run: jaxtyping's import hook with beartype, before tagxai is loaded."""

import os
import signal
from collections import Counter
from contextlib import suppress
from importlib import import_module
from pathlib import Path

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background, whose children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may depend on a model hub
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models this small are slower on more threads, far slower on busy cores

import shape_checks

shape_checks.install()

import pytest
import torch
from coverage import Coverage

import tagxai
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.testing import random_audiocraft_checkpoint, random_checkpoint

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker collects all tests, which import these, when tracing has begun
    for module in ("audiocraft", "scipy.stats", "spacy"):
        with suppress(ImportError):
            import_module(module)

PROMPT = "a dog barks while rain falls"

UNTRACED = (
    *("benchmark/test_bad_methods", "benchmark/test_papers", "benchmark/test_runs", "browser"),
    *("cli/test_names", "explaining/test_misdeeds", "registering/test_broken_plugins", "test_documented_code"),
    *("test_record", "conversion/test_refusals", "benchmarks", "generators/test_callers", "methods/test_callers_modes"),
)
"""Whole programs, run many times over, which reach few lines that other tests do not."""

TRACED_CASES = 1
"""How many cases of each test are traced."""

untraced = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items):
    """Coverage is measured where a line costs little: tracing takes half as long again as the test itself."""
    tests, cases = Path(__file__).parent, Counter()
    for item in items:
        test = (item.path, getattr(item, "originalname", item.name))
        cases[test] += 1
        inside = item.path.relative_to(tests).as_posix() if item.path.is_relative_to(tests) else ""
        item.stash[untraced] = inside.startswith(UNTRACED) or cases[test] > TRACED_CASES


paused: list[Coverage] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """As pytest-cov's mark `no_cover`, but with the fixtures of the test: some are a benchmark."""
    measured = Coverage.current() if item.stash[untraced] else None
    if measured is None:
        return (yield)
    measured.stop()
    paused.append(measured)
    try:
        return (yield)
    finally:
        paused.remove(measured)
        measured.start()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    """What is made once for many files is traced, whichever test comes first."""
    if not paused or fixturedef.scope not in ("session", "package"):
        return (yield)
    measured = paused.pop()
    measured.start()
    try:
        return (yield)
    finally:
        measured.stop()
        paused.append(measured)


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """A folder with a small random checkpoint in MusicGen's format: 16 kHz, 25 Hz frames, 4 codebooks, 3 s."""
    folder = tmp_path_factory.mktemp("random_model")
    random_checkpoint(folder)
    return folder


@pytest.fixture(scope="session")
def generator(random_model):
    return TransformersGenerator.load(str(random_model))


@pytest.fixture(scope="session")
def generation(generator):
    return generator.generate(PROMPT, duration=1.0, seed=3)


@pytest.fixture(scope="module")
def latent():
    """A small random model that denoises latents."""
    from small_latent import small_latent

    return small_latent()


@pytest.fixture(scope="session")
def audiocraft_model(tmp_path_factory):
    """A folder with a small random checkpoint in audiocraft's format."""
    pytest.importorskip("audiocraft")
    return random_audiocraft_checkpoint(tmp_path_factory.mktemp("audiocraft_model"))


@pytest.fixture(scope="session")
def audiocraft_generator(audiocraft_model):
    from tagxai.generators.audiocraft.model import AudioGenGenerator

    return AudioGenGenerator.load(str(audiocraft_model))


@pytest.fixture
def explanation(generation):
    """An attribution whose scores are known: frame * 10 + token."""
    frames, tokens = generation.frames, len(generation.tokens)
    scores = torch.arange(frames)[:, None] * 10.0 + torch.arange(tokens)
    return tagxai.Attribution(generation, scores[None], "random", {"seed": 0})
