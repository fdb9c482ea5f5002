"""Names, origins, and the errors that a plugin's author or user may meet."""

import pickle

import pytest

from tagxai import Method, hookimpl
from tagxai.errors import DuplicateNameError, TagxaiError, UnknownNameError
from tagxai.methods.random import Random
from tagxai.registering.registry import load, registry


class Outside(Method):
    """A method from outside."""

    name = "outside"

    def explain(self, run): ...


def plugin(method_classes):
    """A plugin object whose hook returns (or, given a function, calls) `method_classes`."""

    class Plugin:
        __name__ = "outside_plugin"

        @hookimpl
        def tagxai_methods(self):
            return method_classes() if callable(method_classes) else method_classes

    return Plugin()


def test_the_built_ins_are_registered_and_come_from_tagxai():
    found = load(entry_points=False)
    assert {"audiogenx", "cross_attention", "random"} <= set(found.methods)
    assert {"tiny", "musicgen"} <= set(found.generators)
    assert "mask_size" in found.metrics
    assert {entry.origin for entry in found.methods.values()} == {"tagxai"}


def test_every_registered_class_has_a_one_line_summary():
    found = registry()
    for entry in (*found.methods.values(), *found.generators.values(), *found.metrics.values()):
        assert entry.summary.strip()
        assert entry.summary.endswith(".")
        assert len(entry.summary) <= 120


def test_an_installed_plugin_shows_the_distribution_that_it_comes_from():
    pytest.importorskip("tagxai_leave_one_out")
    assert registry().methods["leave_one_out"].origin == "tagxai-leave-one-out 0.1.0"


def test_entry_points_can_be_left_out():
    assert "leave_one_out" not in load(entry_points=False).methods


def test_a_plugin_given_by_hand_registers_beside_the_built_ins():
    found = load(plugin([Outside]), entry_points=False)
    assert found.method("outside") is Outside
    assert found.methods["outside"].summary == "A method from outside."
    assert found.method("random") is Random


@pytest.mark.parametrize(("kind", "name", "near"), [("method", "randm", "random"), ("generator", "tinny", "tiny")])
def test_an_unknown_name_is_refused_with_a_suggestion_and_the_choices(kind, name, near):
    with pytest.raises(UnknownNameError, match=f"no {kind} named {name!r}; did you mean {near!r}\\?.*choices:"):
        getattr(registry(), kind)(name)


def test_a_name_like_no_other_is_refused_with_the_choices_alone():
    with pytest.raises(UnknownNameError, match=r"no metric named 'qqqq'; choices: .*mask_size") as error:
        registry().metric("qqqq")
    assert "did you mean" not in str(error.value)


def test_two_plugins_with_one_name_are_both_named():
    class Thief(Outside):
        """Another 'random'."""

        name = "random"

    stolen = plugin([Thief])
    with pytest.raises(DuplicateNameError, match="two plugins register the method 'random'") as error:
        load(stolen, entry_points=False)
    assert "tagxai and outside_plugin" in str(error.value)


def test_a_misspelt_hook_is_refused():
    class Misspelt:
        @hookimpl
        def tagxai_metods(self):
            return []

    with pytest.raises(TagxaiError, match=r"hook that tagxai does not have.*tagxai_metods"):
        load(Misspelt(), entry_points=False)


def test_a_plugin_that_raises_is_named_with_what_it_raised():
    def broken():
        raise ImportError("no module named 'captum'")

    with pytest.raises(TagxaiError, match="plugin outside_plugin failed to register: ImportError: no module"):
        load(plugin(broken), entry_points=False)


class Nameless(Method):
    """A method that forgot its name."""

    def explain(self, run): ...


@pytest.mark.parametrize("wrong", [Nameless, object, "random", Random()], ids=["nameless", "other", "text", "instance"])
def test_what_is_not_a_class_with_a_name_is_refused(wrong):
    with pytest.raises(TagxaiError, match="expected Method classes with a name"):
        load(plugin([wrong]), entry_points=False)


def test_the_registry_of_a_process_is_made_once():
    assert registry() is registry()


def test_classes_may_come_from_a_generator():
    class Lazy:
        @hookimpl
        def tagxai_methods(self):
            yield Random2

    class Random2(Random):
        """Random, again."""

        name = "random2"

    assert "random2" in load(Lazy(), entry_points=False).methods


def test_a_hook_that_returns_nothing_names_its_plugin():
    class Empty:
        @hookimpl
        def tagxai_methods(self):
            return None

    with pytest.raises(TagxaiError, match="Empty failed to register"):
        load(Empty(), entry_points=False)


def test_an_unknown_name_is_told_by_another_process_too():
    error = UnknownNameError("method", "shaply", ["shapley", "lime"])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.choices) == (UnknownNameError, str(error), ["lime", "shapley"])
