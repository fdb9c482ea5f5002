"""Code from outside that would end the program ends in one sentence instead, wherever tagxai calls it."""

import os
import sys
import threading
from dataclasses import dataclass

import pytest
from cli_helpers import run
from registered import register_method

from tagxai import Generator, Method, TagxaiError
from tagxai.contract.foreign import exits_named


def recurse():
    recurse()


def own_end():
    raise type("End", (BaseException,), {})("now")


def fail():
    raise ValueError("a bug")


ENDS = {
    "exits": (lambda: sys.exit(0), "it tried to end the program (SystemExit: 0)"),
    "exits hard": (lambda: os._exit(0), "it called os._exit(0)"),
    "interrupts": (lambda: (_ for _ in ()).throw(KeyboardInterrupt), "it raised KeyboardInterrupt, although nobody"),
    "ends as a generator": (lambda: (_ for _ in ()).throw(GeneratorExit), "GeneratorExit"),
    "has an end of its own": (own_end, "End: now"),
    "prints and fails": (lambda: print("{") or fail(), "ValueError: a bug"),
    "recurses": (recurse, "RecursionError: maximum recursion depth"),
    "gives nothing": (lambda: None, "it gave NoneType, not a generator"),
}


class Ending(Generator):
    """A generator of somebody else's that ends as it is asked to."""

    name = "ending"
    how = "exits"

    @classmethod
    def load(cls, source=None, *, device="cpu", dtype="float32"):
        return ENDS[source][0]()

    def timeline(self, duration=None): ...

    def generate_one(self, request, *, on_progress=None): ...

    def modules(self):
        return {}

    def weights(self):
        return {}

    def encode_prompt(self, prompts):
        return ENDS[self.how][0]()

    def decode(self, generation): ...

    def forward(self, *given, **options): ...


for missing in Ending.__abstractmethods__:
    setattr(Ending, missing, lambda self, *given, **options: None)
Ending.__abstractmethods__ = frozenset()


@pytest.mark.parametrize("how", ENDS)
def test_a_generator_that_does_not_load_is_one_sentence(how, capfd):
    with pytest.raises(TagxaiError, match=r"^generator 'ending' failed[^\n]*$") as error:
        Ending.load(how)
    assert ENDS[how][1] in str(error.value)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("how", ["exits", "exits hard", "interrupts", "ends as a generator", "has an end of its own"])
def test_a_generator_that_ends_the_program_in_a_call_is_one_sentence(how):
    model = Ending()
    model.how = how
    with pytest.raises(TagxaiError, match=r"^generator 'ending' failed: ") as error:
        model.encode_prompt(["a dog"])
    assert ENDS[how][1] in str(error.value)


class Failing(Ending):
    """A generator that fails as it makes audio."""

    name = "failing"
    error: Exception = ValueError("a bug")

    def generate_one(self, request, *, on_progress=None):
        raise self.error


def test_an_error_as_a_clip_is_made_names_the_generator_and_keeps_its_cause():
    with pytest.raises(TagxaiError, match=r"^generator 'failing' failed: ValueError: a bug$") as error:
        Failing().generate("a dog")
    assert type(error.value.__cause__) is ValueError


@pytest.mark.parametrize(
    ("given", "expected"),
    [(TagxaiError("a sentence"), "^a sentence$"), (MemoryError(), "^there is not enough memory to make audio")],
)
def test_what_is_said_already_stays_as_it_is(given, expected):
    model = Failing()
    model.error = given
    with pytest.raises(TagxaiError, match=expected):
        model.generate("a dog")


def test_what_stops_the_work_from_outside_passes_through():
    stop = type("Stop", (Exception,), {"passes_through": True})
    model = Failing()
    model.error = stop()
    with pytest.raises(stop):
        model.generate("a dog")


def test_an_error_in_a_call_stays_what_it_is_so_that_callers_can_act_on_it():
    with pytest.raises(ValueError, match="a bug"), exits_named("generator 'any'"):
        fail()


@dataclass(frozen=True)
class Made(Method):
    """A method that ends as it is made."""

    name = "made"
    how: str = "exits"

    def __post_init__(self):
        ENDS[self.how][0]()

    def explain(self, run): ...


@pytest.mark.parametrize("how", [how for how in ENDS if how != "gives nothing"])
def test_a_method_that_cannot_be_made_is_one_sentence(how):
    with pytest.raises(TagxaiError, match=r"^method 'made' failed: ") as error:
        Made.configure({"how": how})
    assert ENDS[how][1] in str(error.value)


@dataclass(frozen=True)
class Asked(Method):
    """A method that ends the program where nobody thinks of it."""

    name = "asked"

    def check_supported(self, generator):
        sys.exit(0)

    def explain(self, run): ...


def test_a_command_never_ends_well_by_an_exit_that_is_not_its_own(monkeypatch, generator, tmp_path):
    register_method(monkeypatch, "asked", Asked)
    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda *given, **options: generator)
    found = run("explain", "a dog", "-m", "asked", "--out", tmp_path / "out")
    assert found.exit_code == 2
    assert found.stderr.strip().endswith("a plugin, or a library, ended the command by SystemExit: 0")


def test_blocks_of_several_threads_leave_the_real_exit_whatever_their_order():
    real, first, second, kept = os._exit, threading.Event(), threading.Event(), []

    def work(begin, end):
        with exits_named("a thread"):
            kept.append(os._exit)
            begin.set()
            end.wait(5)

    began = threading.Event()
    one = threading.Thread(target=work, args=(began, first))
    one.start()
    began.wait(5)
    two = threading.Thread(target=work, args=(threading.Event(), second))
    two.start()
    for event, thread in ((first, one), (second, two)):  # the one that began first ends first
        event.set()
        thread.join()
    assert len(kept) == 2
    assert real not in kept
    assert os._exit is real
