"""Every registered plugin keeps its contract, and every check finds the plugin that breaks it."""

import re
import sys
import types
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch
from small_latent import small_latent

from tagxai import Method, Metric, Scores
from tagxai.contract.attention import edit_attention
from tagxai.errors import TagxaiError
from tagxai.generators.diffusers.pipelines import PipelineGenerator
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.methods.random import Random
from tagxai.metrics.mask_size import MaskSize
from tagxai.probing.edits import Gate
from tagxai.registering.registry import load, registry
from tagxai.testing import ConformanceError, check_generator, check_method, check_metric, random_checkpoint

QUICK = {"audiogenx": {"epochs": 2}}


@pytest.mark.parametrize("name", registry().methods)
def test_every_registered_method_conforms(name, generator):
    method = registry().method(name)
    model = small_latent() if "coupled" in method.needs else generator
    check_method(method.configure(QUICK.get(name, {})), model)


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
    judged = is_dataclass(metric) and "classifier" in {field.name for field in fields(metric)}
    check_metric(metric(classifier="detector", repeats=1) if judged else metric)


# A plugin tests its own; those of diffusers have a file each in tests/generators.
BUILT_IN = [
    name
    for name, entry in registry().generators.items()
    if entry.origin == "tagxai" and not issubclass(registry().generator(name), PipelineGenerator)
]


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


# -- broken methods --------------------------------------------------------------------------------------------------


@pytest.fixture
def own_generator(random_model):
    """A generator that a test may spoil."""
    yield TransformersGenerator.load(str(random_model))
    while LEFT:
        LEFT.pop().__exit__(None, None, None)


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


LEFT = []  # blocks that nobody closes: Python would close a forgotten one as soon as nothing holds it


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


# -- broken generators -----------------------------------------------------------------------------------------------


class Sloppy(TransformersGenerator):
    """The base of generators that each break one promise."""


class IgnoresPadding(Sloppy):
    """Attends to padding."""

    def encode_prompt(self, prompts):
        encoded = super().encode_prompt(prompts)
        return replace(encoded, embeddings=encoded.embeddings + 1.0)

    def forward(self, generation, conditioning=None, **options):
        conditioning = conditioning or self.encode_prompt([generation.prompt])
        seen = replace(conditioning, mask=torch.ones_like(conditioning.mask))
        return super().forward(generation, seen, **options)


class ForgetsTheDelay(Sloppy):
    """Reads the codes of a later step."""

    def hidden_states(self, generation, conditioning=None, **options):
        codes = generation.record["codes"].roll(-1, 1)
        return super().hidden_states(replace(generation, record={"codes": codes}), conditioning, **options)


class ForgetsThePosition(Sloppy):
    """Streams without saying where it is, so that a mask's first step gates them all."""

    def generate(self, prompt, **options):
        mask = options.pop("mask", None)
        return super().generate(prompt, mask=None if mask is None else mask[:1].expand_as(mask), **options)


class Unrepeatable(Sloppy):
    """Ignores the seed."""

    def generate(self, prompt, **options):
        made = super().generate(prompt, **{**options, "seed": int(torch.randint(1 << 20, ()))})
        return replace(made, seed=options.get("seed", 0))


class AnyDuration(Sloppy):
    """Makes what was not asked for."""

    def generate(self, prompt, *, duration=None, **options):
        return super().generate(prompt, duration=duration and min(max(duration, 0.2), 1.0), **options)


class Thawed(Sloppy):
    """Does not freeze its weights."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.model.requires_grad_(True)


class LeakyBranch(Sloppy):
    """Hears the prompt in the unconditional branch."""

    def forward(self, generation, conditioning=None, *, branch="conditional", **options):
        return super().forward(generation, conditioning, branch="conditional", **options)


class OtherSound(Sloppy):
    """Decodes to another sound each time."""

    def decode(self, codes):
        return super().decode(codes) + torch.rand(())


@pytest.mark.parametrize(
    ("generator_class", "broken"),
    [
        (IgnoresPadding, "differently in a padded batch than alone"),
        (ForgetsTheDelay, "computes hidden states of .* differently among several clips"),
        (ForgetsThePosition, "differs between masked streaming and a masked teacher-forced pass"),
        (Unrepeatable, "global random state|another clip from the same prompt and seed"),
        (AnyDuration, "raises nothing for a clip of"),
        (Thawed, "does not freeze its weights"),
        (LeakyBranch, "unconditional branch that depends on the prompt"),
        (OtherSound, "decodes the record to another sound than it returned"),
    ],
)
def test_a_generator_that_breaks_its_contract_learns_which_promise(generator_class, broken, random_model):
    with pytest.raises(ConformanceError, match=broken):
        check_generator(generator_class.load(str(random_model)))


def test_a_generator_that_swallows_an_empty_prompt_is_found(own_generator):
    class Undemanding(Sloppy):
        """Says something for no prompt."""

        def generate(self, prompt, **options):
            return super().generate(prompt.strip() or "a", **options)

    broken = Undemanding(own_generator.model, own_generator.tokenizer)
    with pytest.raises(ConformanceError, match="raises nothing for an empty prompt"):
        check_generator(broken)


# -- broken metrics --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "broken"),
    [
        (float("nan"), "is nan for a random mask"),
        (1.5, "outside its bounds"),
        (1, "returns a int"),
    ],
)
def test_a_metric_that_breaks_its_contract_learns_which_promise(value, broken, own_generator):
    class Wrong(MaskSize):
        """A constant."""

        def score(self, generator, generation, attribution):
            return value

    with pytest.raises(ConformanceError, match=broken):
        check_metric(Wrong, own_generator)


def test_a_metric_without_a_direction_is_found(own_generator):
    class Directionless(Metric):
        """Says not what is good."""

        name, family, bounds = "directionless", "complexity", (0.0, 1.0)

        def score(self, generator, generation, attribution):
            return 0.5

    with pytest.raises(ConformanceError, match="direction"):
        check_metric(Directionless, own_generator)


def test_conformance_errors_are_assertion_errors_and_not_users_mistakes():
    assert issubclass(ConformanceError, AssertionError)
    assert not issubclass(ConformanceError, TagxaiError)


def test_random_depends_on_its_seed_alone(generator, generation):
    first, again, other = (Random(seed=seed).attribute(generator, generation).scores for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
