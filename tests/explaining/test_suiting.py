"""On a generator without attention, methods that take words away delete them; others say what would work."""

import pytest

import tagxai
from tagxai.benchmark.entry_syntax import parse_methods
from tagxai.errors import UnsupportedError
from tagxai.explaining.loading import make_method
from tagxai.registering.names import list_methods
from tagxai.registering.registry import registry


@pytest.fixture(scope="module")
def blind():
    """The embedded model, if it did not offer to look at its attention."""
    tiny = registry().generator("tiny")
    return type("Blind", (tiny,), {"offers": tiny.offers - {"attention", "closes"}}).load()


@pytest.mark.parametrize("method", ["shapley", "occlusion", "captum:FeatureAblation"])
def test_methods_that_take_words_away_delete_them_and_say_so(blind, method):
    sentence = f"method '{method}' runs with operator=delete, because generator 'tiny' does not offer attention"
    with pytest.warns(UserWarning, match=sentence):
        found = tagxai.explain("a dog barks", method=method, generator=blind, duration=0.4)
    assert found.settings["operator"] == "delete"


def test_an_operator_that_is_asked_for_is_not_replaced(blind):
    with pytest.raises(UnsupportedError, match="set operator=delete, which needs nothing of the model"):
        tagxai.explain("a dog barks", method="shapley", operator="gate", generator=blind, duration=0.4)


def test_other_refusals_name_what_would_work(blind):
    with pytest.raises(UnsupportedError, match="such as 'occlusion', need only forward passes; 'tagxai methods --for"):
        make_method("cross_attention").check_supported(blind)
    with pytest.raises(UnsupportedError, match="method 'occlusion' with operator=delete and beside=3"):
        make_method("share_x_effect").check_supported(blind)


def test_lists_of_what_works_count_methods_with_their_fallback(blind):
    listed = list_methods(blind)
    assert {"shapley", "lime", "input_x_gradient", "random"} <= set(listed)
    assert not {"share_x_effect", "cross_attention", "atman"} & set(listed)


def test_a_benchmark_of_such_generators_alone_deletes_words():
    without, having = frozenset({"gradients"}), frozenset({"attention"})
    (entry,) = parse_methods("shapley", [without])
    assert (entry.label, entry.settings["operator"], entry.needs) == ("shapley(operator=delete)", "delete", ())
    for offers in ([having], [without, having], []):
        (entry,) = parse_methods("shapley", offers)
        assert (entry.label, entry.settings["operator"]) == ("shapley", "value")
    (entry,) = parse_methods("shapley(operator=gate)", [without])
    assert entry.settings["operator"] == "gate"


def test_alti_refuses_a_stream_that_it_cannot_follow_before_any_work():
    latent = tagxai.load_generator("latent")
    for method in ("alti", "alti_logit", "share_x_alti_logit"):
        with pytest.raises(UnsupportedError, match="is scaled by the noise level"):
            make_method(method).check_supported(latent)
