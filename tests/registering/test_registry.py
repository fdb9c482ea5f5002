"""Names, origins, and the errors that a plugin's author or user may meet."""

import pickle

import pytest

from tagxai import Method, hookimpl
from tagxai.errors import DuplicateNameError, UnknownNameError
from tagxai.methods.random import Random
from tagxai.registering.registry import PluginWarning, load, registry


class Outside(Method):
    """A method from outside."""

    name = "outside"

    def explain(self, run): ...


def plugin(method_classes, name="outside_plugin"):
    """A plugin object whose hook returns `method_classes`."""

    class Plugin:
        __name__ = name

        @hookimpl
        def tagxai_methods(self):
            return method_classes

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


def test_a_plugin_cannot_take_a_built_in_name_but_can_be_asked_for_by_its_distribution():
    class Thief(Outside):
        """Another 'random'."""

        name = "random"

    found = load(plugin([Thief]), entry_points=False)
    with pytest.warns(PluginWarning, match="'random' is registered by tagxai and outside_plugin"):
        known = set(found.methods)
    assert known >= {"random", "outside_plugin/random"}
    assert found.method("random") is found.method("tagxai/random") is Random
    assert found.method("outside_plugin/random") is Thief
    assert found.entry("method", "outside_plugin/random").origin == "outside_plugin"


def test_a_name_that_two_plugins_register_is_ambiguous_only_where_it_is_asked_for():
    class Other(Outside):
        """Another method from outside."""

    other = plugin([Other], "second_plugin")
    found = load(plugin([Outside]), other, entry_points=False)
    assert found.method("audiogenx").name == "audiogenx"
    with pytest.warns(PluginWarning, match="'outside' is registered by outside_plugin and second_plugin"):
        assert "outside" not in found.methods
    with pytest.raises(DuplicateNameError, match="give one of outside_plugin/outside, second_plugin/outside"):
        found.method("outside")
    assert found.method("second_plugin/outside") is Other
    with pytest.raises(UnknownNameError, match=r"no method named 'second_plugin/outsider'; did you mean 'second"):
        found.method("second_plugin/outsider")


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


def test_an_unknown_name_is_told_by_another_process_too():
    error = UnknownNameError("method", "shaply", ["shapley", "lime"])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.choices) == (UnknownNameError, str(error), ["lime", "shapley"])
