"""Within one process, a method from outside changes nothing that the next one sees, and ends in its own sentence."""

import hashlib
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from survival_misdeeds import MISDEEDS, Misdeed
from tokenizers.normalizers import Replace

import tagxai
import tagxai.methods.occlusion  # loaded, and so to be kept
from tagxai import Method, Metric, TagxaiError
from tagxai.contract.scores import Scores
from tagxai.explaining.attributing import attribute
from tagxai.explaining.measuring import measure
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.methods.cross_attention import CrossAttention

ELSEWHERE = {"is killed", "never ends", "interrupts", "spoils the weights later"}
"""What only another process, or Ctrl-C, withstands: see `benchmarks/survival.py misdeeds`."""


@dataclass(frozen=True)
class Neighbour(Method):
    """A method from outside that does nothing wrong."""

    name = "neighbour"

    def explain(self, run):
        return CrossAttention().explain(run)


@pytest.fixture(scope="module")
def model(random_model):
    return TransformersGenerator.load(str(random_model))


@pytest.fixture(scope="module")
def clip(model):
    return model.generate("a dog barks", duration=0.4)


@pytest.fixture(scope="module")
def alone(model, clip):
    return CrossAttention().attribute(model, clip).scores


@pytest.mark.parametrize("how", [how for how in MISDEEDS if how not in ELSEWHERE])
def test_the_neighbours_of_a_bad_method_are_as_they_are_alone(how, model, clip, alone, capfd):
    before = (os.getcwd(), dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist())
    codes, waveform = clip.record["codes"].clone(), clip.waveform.clone()
    names = [Misdeed(how), Neighbour(), CrossAttention()]
    found = tagxai.explain(clip, method=names, generator=model)
    for name in ("neighbour", "cross_attention"):
        assert torch.equal(found.explanations[name].attribution.scores, alone)
    assert set(found.failures) <= {"misdeed"}
    assert (os.getcwd(), dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist()) == before
    assert torch.equal(clip.record["codes"], codes)
    assert torch.equal(clip.waveform, waveform)
    again = model.generate("a dog barks", duration=0.4)
    assert torch.equal(again.record["codes"], codes)
    assert torch.equal(again.waveform, waveform)
    assert capfd.readouterr().out == ""


def every_module(run):
    return [part for model in run.model.modules().values() for part in model.modules()]


def set_in_classes(run, wanted, **names):
    for cls in {type(part) for part in every_module(run) if wanted in type(part).__name__}:
        for name, value in names.items():
            setattr(cls, name, value)


class Finder:
    """Finds another module than was asked for."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "none_such":
            raise SystemExit(3)


QUIET = {
    "flushes denormals": lambda run: torch.set_flush_denormal(True),
    "replaces forward of a norm": lambda run: set_in_classes(run, "LayerNorm", forward=lambda self, x: x * 0),
    "replaces forward of attention": lambda run: set_in_classes(run, "Attention", forward=None),
    "gives activations a call of their own": lambda run: set_in_classes(run, "ReLU", __call__=lambda self, x: x * 0),
    "replaces multiplication": lambda run: setattr(torch.Tensor, "__mul__", lambda a, b: a),
    "replaces a checksum": lambda run: setattr(hashlib, "sha256", hashlib.md5),
    "replaces writing": lambda run: setattr(Path, "write_bytes", lambda self, content: len(content)),
    "comes first on the path": lambda run: sys.path.insert(0, os.sep),
    "finds other modules": lambda run: sys.meta_path.insert(0, Finder),
    "forbids all files": lambda run: os.umask(0o777),
    "loses the temporary folder": lambda run: setattr(tempfile, "tempdir", "/none"),
    "traces": lambda run: sys.settrace(lambda *event: None),
    "stands in for a module": lambda run: sys.modules.update({"tagxai.none_such": sys}),
    "replaces a module": lambda run: sys.modules.update({"tagxai.methods.occlusion": sys}),
    "adds tokens": lambda run: run.model.tokenizer.add_tokens(["dog barks"]),
    "reads letters as others": lambda run: setattr(
        run.model.tokenizer.backend_tokenizer, "normalizer", Replace("dog", "cat")
    ),
    "forbids a kernel": lambda run: torch.backends.cuda.enable_math_sdp(False),
    "gives a layer a class of its own": lambda run: torch.nn.utils.parametrize.register_parametrization(
        next(part for part in every_module(run) if isinstance(part, torch.nn.Linear)), "weight", torch.nn.Identity()
    ),
    "swaps a layer": lambda run: setattr(
        next(part for part in every_module(run) if hasattr(part, "fc1")), "fc1", torch.nn.Identity()
    ),
    "turns warnings off": lambda run: warnings.simplefilter("ignore"),
}
"""Misdeeds that raise nothing at once, each of something that another method or a save depends on."""


@dataclass(frozen=True)
class Quiet(Method):
    """A method that changes something that is not its own."""

    name = "quiet"
    how: str = ""

    def explain(self, run):
        found = CrossAttention().explain(run)
        QUIET[self.how](run)
        return found


def things_of_the_process():
    mask = os.umask(0o022)
    os.umask(mask)
    return {
        "denormals": (torch.full((1,), 1e-40) * 1).tolist(),
        "product": torch.Tensor.__mul__,
        "checksum": hashlib.sha256,
        "writing": Path.write_bytes,
        "path": sys.path[0],
        "finder": sys.meta_path[0],
        "mask": mask,
        "temporary": tempfile.tempdir,
        "trace": sys.gettrace(),
        "modules": [sys.modules.get(name) for name in ("tagxai.none_such", "tagxai.methods.occlusion")],
        "kernel": torch.backends.cuda.math_sdp_enabled(),
        "warnings": list(warnings.filters),
    }


@pytest.mark.parametrize("how", QUIET)
def test_what_a_method_changes_without_a_word_is_put_back(how, model, clip, alone):
    before, classes, identity = (
        things_of_the_process(),
        [type(part) for part in model.model.modules()],
        model.identity(),
    )
    found = tagxai.explain(clip, method=[Quiet(how), CrossAttention()], generator=model)
    assert torch.equal(found.explanations["cross_attention"].attribution.scores, alone)
    again = model.generate("a dog barks", duration=0.4)
    assert torch.equal(again.waveform, clip.waveform)
    assert (again.tokens, again.spans) == (clip.tokens, clip.spans)
    assert [type(part) for part in model.model.modules()] == classes
    assert model.identity() == identity
    assert things_of_the_process() == before


@dataclass(frozen=True)
class Gives(Method):
    """A method that gives what it is told to."""

    name = "gives"
    what: object = None

    def explain(self, run):
        shape = (1, run.generation.frames, len(run.generation.tokens))
        return self.what(torch.ones(shape)) if callable(self.what) else self.what


WRONG = {
    "None": (None, "gave NoneType, not Scores"),
    "a number": (3, "gave int, not Scores"),
    "a tensor": (lambda ones: ones, "gave Tensor, not Scores"),
    "lists": (lambda ones: Scores(ones.tolist()), "scores that are list, not a tensor"),
    "booleans": (lambda ones: Scores(ones > 0), "are of bool, not real numbers"),
    "complex numbers": (lambda ones: Scores(ones * 1j), "are of complex64, not real numbers"),
    "two axes": (lambda ones: Scores(ones[0]), "do not fit a generation of"),
    "a token too few": (lambda ones: Scores(ones[..., :-1]), "do not fit a generation of"),
    "no streams": (lambda ones: Scores(ones[:0]), "do not fit a generation of"),
    "NaN": (lambda ones: Scores(ones * float("nan")), "hold NaN or infinity"),
    "infinity": (lambda ones: Scores(ones / 0), "hold NaN or infinity"),
    "a deviation of another shape": (lambda ones: Scores(ones, deviation=ones[0]), "deviation that have the shape"),
    "another merge": (lambda ones: Scores(ones, merge="max"), "merge='max'"),
    "a mask of 1": (lambda ones: Scores(ones, is_mask=1), "is_mask=1"),
    "diagnostics of a list": (lambda ones: Scores(ones, diagnostics=[1]), "diagnostics are list, not a dict"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_explanation_is_one_sentence_and_loses_no_other(kind, model, clip):
    given, told = WRONG[kind]
    method = Gives(given)
    with pytest.raises(TagxaiError, match=r"^method 'gives'") as refused:
        attribute(method, model, clip)
    assert told in str(refused.value) or "TypeCheckError" in str(refused.value)  # of the tests' own shape checks
    found = tagxai.explain(clip, method=[method, CrossAttention()], generator=model)
    assert list(found.explanations) == ["cross_attention"]
    assert list(found.failures) == ["gives"]


class Says(Metric):
    """A metric that gives what it is told to, and spoils what it sees."""

    name, family, higher_is_better, bounds = "says", "mine", True, (0.0, 1.0)

    def __init__(self, value):
        self.value = value

    def score(self, generator, generation, attribution):
        attribution.scores.zero_()
        generation.waveform.zero_()
        torch.set_default_dtype(torch.float64)
        return self.value() if callable(self.value) else self.value


def stop():
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "gave NoneType, which is not a number"),
        (True, "gave True, which is not a number"),
        ("0.5", "gave '0.5', which is not a number"),
        (1j, "gave complex, which is not a number"),
        ([0.5], "gave list, which is not a number"),
        (float("nan"), "gave nan, which is not a finite number"),
        (torch.ones(2), "gave Tensor, which is not a number"),
        (stop, "it tried to end the program"),
        (lambda: os._exit(0), r"it called os\._exit\(0\)"),
    ],
)
def test_a_metric_from_outside_gives_a_number_or_one_sentence(value, told, model, clip, alone):
    explained = CrossAttention().attribute(model, clip)
    waveform = clip.waveform.clone()
    with pytest.raises(TagxaiError, match=told):
        measure(Says(value), model, explained)
    assert measure(Says(torch.tensor(0.5)), model, explained) == 0.5
    assert torch.equal(explained.scores, alone)
    assert torch.equal(clip.waveform, waveform)
    assert torch.get_default_dtype() == torch.float32
