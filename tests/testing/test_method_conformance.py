"""Broken methods: the conformance kit finds each fault, in one sentence."""

import re
import sys
import types
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch
from conformance_cases import BUILT_IN, LEFT
from families import quick
from small_latent import small_latent

from tagxai import Method, Scores
from tagxai.contract.attention import edit_attention
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.probing.edits import Gate
from tagxai.registering.registry import load, registry
from tagxai.testing import ConformanceError, check_generator, check_method, check_metric, random_checkpoint


@pytest.mark.parametrize("name", registry().methods)
def test_every_registered_method_conforms(name, generator):
    method = quick(name)
    check_method(method, small_latent() if "coupled" in method.needs else generator)


@pytest.mark.parametrize(
    "options",
    [
        {"explainer": "mlp", "hidden_units": 8},
        {"mode": "reference", "hidden_units": 8},
        {"noise": False, "patience": 1},
    ],
)
def test_audiogenx_conforms_in_every_mode(options, generator):
    check_method(registry().method("audiogenx")(epochs=2, **options), generator)


@pytest.mark.parametrize("name", registry().metrics)
def test_every_registered_metric_conforms(name):
    metric = registry().metric(name)
    options = {field.name for field in fields(metric)} if is_dataclass(metric) else set()
    if "classifier" in options:
        metric = metric(classifier="detector", repeats=1)
    elif "changed" in options:
        metric = metric(changed="a cat meows while rain falls")
    check_metric(metric)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_registered_generator_conforms(name, request):
    # A new generator: say here which fixture it loads.
    models = {"musicgen": "random_model", "audiogen": "audiocraft_model", "audiocraft_musicgen": "audiocraft_model"}
    source = None if name in ("tiny", "latent", "analytic") else str(request.getfixturevalue(models[name]))
    check_generator(registry().generator(name).load(source))


def test_the_method_that_the_readme_shows_conforms(generator):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "hookimpl" in block)
    shown = types.ModuleType("shown_in_readme")
    sys.modules[shown.__name__] = shown  # dataclasses look their module up
    try:
        exec(code, vars(shown))
        assert load(shown, entry_points=False).methods["uniform"].origin == "shown_in_readme"
        check_method(shown.Uniform(), generator)
    finally:
        del sys.modules[shown.__name__]


def test_a_stereo_generator_conforms(tmp_path):
    check_generator(TransformersGenerator.load(str(random_checkpoint(tmp_path, channels=2, codebooks=2))))


def test_a_random_checkpoint_is_the_same_for_the_same_seed(random_model, tmp_path):
    weights = "model.safetensors"
    again, other = (random_checkpoint(tmp_path / str(seed), seed=seed) / weights for seed in (0, 1))
    assert again.read_bytes() == (random_model / weights).read_bytes() != other.read_bytes()


@dataclass(frozen=True)
class Honest(Method):
    """The smallest method that conforms; those below each break one promise."""

    name = "honest"

    def explain(self, run):
        return Scores(self.scores(run.model, run.generation))

    def scores(self, generator, generation):
        return torch.ones(1, generation.frames, len(generation.tokens))


class Unseeded(Honest):
    """Draws from the global random state."""

    def scores(self, generator, generation):
        with torch.random.fork_rng(devices=[]):
            return torch.rand(1, generation.frames, len(generation.tokens))


class SeedsGlobally(Honest):
    """Sets the global random state."""

    def scores(self, generator, generation):
        torch.manual_seed(0)
        return super().scores(generator, generation)


def enter_gate(generator, generation):
    gate = Gate(torch.zeros(generation.positions, len(generation.tokens)))
    LEFT.append(edit_attention(generator.cross_attention(), gate))
    LEFT[-1].__enter__()


class LeavesAnEdit(Honest):
    """Never takes its gate off."""

    def scores(self, generator, generation):
        enter_gate(generator, generation)
        return super().scores(generator, generation)


class LeavesAnEditAfterAnException(Honest):
    """Takes its gate off only when all goes well."""

    def scores(self, generator, generation):
        enter_gate(generator, generation)
        generator.forward(generation)
        LEFT.pop().__exit__(None, None, None)
        return super().scores(generator, generation)


class SwallowsExceptions(Honest):
    """Hides what goes wrong in the model."""

    def scores(self, generator, generation):
        with suppress(Exception):
            generator.forward(generation)
        return super().scores(generator, generation)


class Unfreezes(Honest):
    """Lets gradients into the weights."""

    def scores(self, generator, generation):
        generator.model.requires_grad_(True)
        return super().scores(generator, generation)


class Trains(Honest):
    """Changes a weight."""

    def scores(self, generator, generation):
        with torch.no_grad():
            generator.model.decoder.lm_heads[0].weight.mul_(1.01)
        return super().scores(generator, generation)


@dataclass(frozen=True)
class Remembers(Honest):
    """Mixes the last clip into the next."""

    seen: list = field(default_factory=list, init=False, compare=False)

    def settings(self):
        return {}

    def scores(self, generator, generation):
        self.seen.append(generation)
        return super().scores(generator, generation) * len(self.seen)


class NoMask(Honest):
    """Calls scores a mask that are none."""

    def explain(self, run):
        return Scores.mask(2 * self.scores(run.model, run.generation))


class NamesAnother(Honest):
    """Signs with another name."""

    def attribute(self, generator, generation, *, on_progress=None):
        return replace(super().attribute(generator, generation), method="random")


class NeedsMoreThanItSays(Honest):
    """Works without asking what the generator offers."""

    needs = frozenset({"attention"})

    def check_supported(self, generator):
        pass


class Undescribed(Honest):
    pass


class NotAFrozenDataclass(Method):
    """Has no fields."""

    name = "loose"
    explain, scores = Honest.explain, Honest.scores


def test_the_smallest_honest_method_conforms(own_generator):
    check_method(Honest, own_generator)


@pytest.mark.parametrize(
    ("method", "broken"),
    [
        (Unseeded, "different scores in a second run"),
        (SeedsGlobally, "changes torch's global random state"),
        (LeavesAnEdit, "changes the generator's output: an attention edit"),
        (LeavesAnEditAfterAnException, "changes the generator's output after an exception in call 1"),
        (SwallowsExceptions, "raises nothing after an exception in call 1 of an attention site"),
        (Unfreezes, "changes which weights need gradients"),
        (Trains, "changes the model's weights"),
        (Remembers, "keeps state between clips"),
        (NoMask, r"outside \[0, 1\]"),
        (NamesAnother, "calls itself 'random'"),
        (NeedsMoreThanItSays, "raises nothing for a generator that does not offer attention"),
        (Undescribed, "has no docstring"),
        (NotAFrozenDataclass, "is not a frozen dataclass"),
    ],
)
def test_a_method_that_breaks_its_contract_learns_which_promise(method, broken, own_generator):
    with pytest.raises(ConformanceError, match=broken):
        check_method(method, own_generator)
