"""Classifiers and sets of prompts from plugins: found by name, checked, and part of what decides a result."""

import pytest
import torch

from tagxai import TagxaiError, classifiers, hookimpl
from tagxai.authoring.listening import check_classifier
from tagxai.benchmark.prompts import find_prompts
from tagxai.classifiers import Classifier, load_classifier
from tagxai.contract.prompt_set import PromptSet
from tagxai.errors import UnknownNameError
from tagxai.explaining.identifying import content_of
from tagxai.registering import registry as registering


class Loudness(Classifier):
    """Is it loud? The mean power, squashed."""

    name = "loudness"
    labels = ("loud", "quiet")
    sample_rate = 16_000
    exclusive = True

    def __init__(self, scale=1.0):
        self.scale = scale

    @classmethod
    def load(cls, source=None):
        return cls(float(source or 1.0))

    def probabilities(self, waveform):
        loud = torch.tanh(self.scale * waveform.square().mean(1))
        return torch.stack([loud, 1 - loud], 1)


class Animals(PromptSet):
    """Prompts about animals."""

    name = "animals"

    def prompts(self, argument):
        if argument == "broken":
            raise RuntimeError("no such animal")
        return ["a dog barks", 7] if argument == "wrong" else ["a dog barks", "a bird sings"][: int(argument or 2)]


class Plugin:
    @hookimpl
    def tagxai_classifiers(self):
        return [Loudness]

    @hookimpl
    def tagxai_prompt_sets(self):
        return [Animals]


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    known = registering.load(Plugin(), entry_points=False)
    for module in ("tagxai.registering.registry", "tagxai.benchmark.prompts", "tagxai.explaining.identifying"):
        monkeypatch.setattr(f"{module}.registry", lambda: known)
    classifiers._loaded.cache_clear()
    yield known
    classifiers._loaded.cache_clear()


def test_a_classifier_is_loaded_by_its_name_and_source():
    loud = torch.ones(1, 16_000)
    assert load_classifier("loudness")([loud], 16_000)[0, 0] == torch.tanh(torch.tensor(1.0))
    assert load_classifier("loudness:2")([loud], 16_000)[0, 0] == torch.tanh(torch.tensor(2.0))
    with pytest.raises(UnknownNameError, match="no classifier named 'loudnes'; did you mean 'loudness'"):
        load_classifier("loudnes")


def test_the_code_of_a_plugins_classifier_decides_results():
    assert "code of classifier" in content_of({"classifier": "loudness:2"})
    assert content_of({"classifier": "detector"}) == {}


def test_the_check_tells_probabilities_from_other_numbers(monkeypatch):
    assert check_classifier(Loudness()) == "2 labels, probabilities of two sounds"
    monkeypatch.setattr(Loudness, "probabilities", lambda self, waveform: torch.full((len(waveform), 2), 0.7))
    with pytest.raises(TagxaiError, match=r"add up to 1\.4, although labels are exclusive"):
        check_classifier(Loudness())
    monkeypatch.setattr(Loudness, "probabilities", lambda self, waveform: torch.full((len(waveform), 3), 0.2))
    with pytest.raises(TagxaiError, match=r"it gives \[2, 3\] for 2 clips of 2 labels"):
        check_classifier(Loudness())
    monkeypatch.setattr(Loudness, "probabilities", lambda self, waveform: torch.rand(len(waveform), 1).expand(-1, 2))
    monkeypatch.setattr(Loudness, "exclusive", False)
    with pytest.raises(TagxaiError, match="other probabilities for the same sound"):
        check_classifier(Loudness())


def test_prompts_come_by_the_name_of_a_set():
    assert find_prompts("animals") == ["a dog barks", "a bird sings"]
    assert find_prompts("animals:1") == ["a dog barks"]
    with pytest.raises(TagxaiError, match=r"prompt set 'animals'.*gives 7; expected texts"):
        find_prompts("animals:wrong")
    with pytest.raises(TagxaiError, match=r"prompt set 'animals'.*no such animal"):
        find_prompts("animals:broken")
    with pytest.raises(TagxaiError, match=r"laboratory:test:60, animals:\.\.\., not 'plants'"):
        find_prompts("plants")
