"""What a person types first in a notebook: most of it works, the rest ends in one sentence."""

import warnings

import pytest

import tagxai
from tagxai.errors import TagxaiError
from tagxai.explaining import shared

GUESSES = """
tagxai.explain("a dog barks while rain falls", generator=g)
a._repr_html_()
a.plot()
a.plot(by="phrase")
a.show()
a.audio
a.generation._repr_html_()
a.generation.play()
a.to_pandas()
a.to_dict()
a.to_json()
a.per_word()
a["dog"]
a.over_time(a.words()).numpy()
[w.text for w in a.words()]
tagxai.explain(["a dog barks", "rain falls"])
tagxai.explain("a dog barks", method=["audiogenx", "shapley"])
tagxai.explain("a dog barks", method="audiogenx,shapley", generator=g)
tagxai.list_methods()
tagxai.registry().methods
tagxai.explain("a dog barks", method="shap")
tagxai.explain("a dog barks", method="shapley", epochs=3)
tagxai.explain(a.generation, method="alti")
a.save("s")
tagxai.Attribution.load("s")
tagxai.load("s")
tagxai.compare(a, b)
tagxai.Comparison({"audiogenx": a, "alti": b}).word_agreement()
a - b
tagxai.measure("hit_at_1", a)
tagxai.evaluate(a)
tagxai.edit("a dog barks while rain falls", {"rain": 0.3})
tagxai.explain("un chien aboie", generator=g)
""".strip().splitlines()
REFUSED = {
    'tagxai.explain("a dog barks", method="shap")': "no method named 'shap'; did you mean",
    'tagxai.explain("a dog barks", method="shapley", epochs=3)': "'epochs'",
}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    tiny = tagxai.load_generator("tiny")
    a = tagxai.explain("a dog barks while rain falls", method="cross_attention", generator=tiny)
    b = tagxai.explain(a.generation, method="alti", generator=tiny)
    return {"tagxai": tagxai, "g": tiny, "a": a, "b": b}


def test_guesses_work_or_end_in_a_sentence(names, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    pytest.importorskip("IPython")
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.chdir(tmp_path)
    quick = {"audiogenx": {"epochs": 2}}
    monkeypatch.setattr(
        "tagxai.explaining.loading.make_method",
        lambda name, options=None: tagxai.registry().method(name).configure({**quick.get(name, {}), **(options or {})}),
    )
    for guess in GUESSES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of prompts that tiny does not know
            if guess in REFUSED:
                with pytest.raises(TagxaiError, match=REFUSED[guess]) as refused:
                    eval(guess, names)
                assert "\n" not in str(refused.value)
            else:
                assert eval(guess, names) is not None, guess
    assert len(opened) == 1
    assert len(GUESSES) - len(REFUSED) >= 30


def test_a_missing_attribute_names_what_to_write_instead(names):
    for guess, sentence in (
        ("a.to_numpy", "over_time(words()).numpy()"),
        ("a.play", "write generation.play()"),
        ("a.generation.audio", "waveform[channels, samples]"),
        ("a.no_such_thing", "Attribution has no attribute 'no_such_thing'"),
    ):
        with pytest.raises(AttributeError, match="has no attribute") as raised:
            eval(guess, names)
        assert sentence in str(raised.value)
    with pytest.raises(TagxaiError, match="no word in this prompt named 'cat'"):
        names["a"]["cat"]
    with pytest.raises(TagxaiError, match="compare takes explanations of one clip, not str"):
        tagxai.compare("a dog barks")


def test_a_model_given_by_name_is_loaded_once_and_again_when_its_folder_changes(random_model, tmp_path, monkeypatch):
    import os
    import shutil

    folder = shutil.copytree(random_model, tmp_path / "model")
    loaded = []
    load = shared.load_generator
    monkeypatch.setattr(shared, "load_generator", lambda spec: loaded.append(spec) or load(spec))
    for _ in range(2):
        tagxai.explain("a dog", method="random", generator=f"musicgen:{folder}", duration=0.2)
    assert len(loaded) == 1
    os.utime(folder / "config.json", (2e9, 2e9))
    tagxai.explain("a dog", method="random", generator=f"musicgen:{folder}", duration=0.2)
    assert len(loaded) == 2


def test_explanations_are_compared_and_measured_by_name(names):
    a, b, tiny = names["a"], names["b"], names["g"]
    both = tagxai.compare(a, b, a)
    assert list(both.explanations) == ["cross_attention", "alti", "cross_attention 2"]
    assert (a - both.explanations["alti"]).method == "cross_attention - alti"
    with pytest.raises(TagxaiError, match="an attribution is subtracted from another, not str 'b'"):
        a - "b"
    values = tagxai.evaluate(both, ["gini", "mask_size"], generator=tiny)
    assert values["alti"]["gini"] == tagxai.measure("gini", b, generator=tiny)
    assert values["cross_attention"] == values["cross_attention 2"] == tagxai.evaluate(a, "gini, mask_size")
    assert {"hit_at_1", "gini"} <= set(tagxai.evaluate([a], generator=tiny)[0])
    assert "occlusion" in tagxai.list_methods("tiny")
    assert {"tiny"} <= set(tagxai.list_generators())
    with pytest.raises(TagxaiError, match="no metric named 'ginny'"):
        tagxai.measure("ginny", a)
