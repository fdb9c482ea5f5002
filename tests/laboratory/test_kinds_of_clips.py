"""Strata, single words, windows and twins of the embedded model: on made-up sounds that say what was asked."""

from dataclasses import replace

import pytest
import torch

from tagxai.contract.generator import Generator
from tagxai.contract.truth import TrueWord, Truth
from tagxai.explaining.loading import load_generator
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.needed_now import WINDOW, needed_now
from tagxai.laboratory.judging.single_words import single_words
from tagxai.laboratory.judging.strata import STRATA, strata
from tagxai.laboratory.judging.twins import ignoring, twin
from tagxai.laboratory.language.parsing import parse

EVENTS = ("dog", "rain", "bell")


class Ears(EventDetector):
    """A detector that hears what a made-up waveform says: its samples are one number, the index of an event."""

    events = EVENTS

    def __init__(self):
        torch.nn.Module.__init__(self)  # it has no network

    def __call__(self, waveform):
        frames = waveform[:, ::640]
        return torch.stack([(frames == i).float() for i in range(len(EVENTS))], dim=-1)


class Made:
    def __init__(self, waveform):
        self.waveform, self.record = waveform, {}


def halves(first, second):
    """A waveform with one event in each half; None is silence."""
    wave = torch.full((1, 48_000), -1.0)
    for half, event in enumerate((first, second)):
        if event is not None:
            wave[0, half * 24_000 : (half + 1) * 24_000] = EVENTS.index(event)
    return wave


@pytest.fixture(scope="module")
def clip():
    """A clip of "a dog barks then rain falls", whose sound is made up: the dog, then rain."""
    made = load_generator("tiny").generate("a dog barks then rain falls", seed=3)
    return replace(made, waveform=halves("dog", "rain"))


def truth_of(clip, *rows):
    """All event words are causal, each true in the frames of its row."""
    prompt = parse(clip.prompt)
    words = tuple(
        TrueWord(w.start_char, w.end_char, "event" if w.kind == "event" else "filler", w.kind == "event")
        for w in prompt.words()
    )
    mask = torch.zeros(len(words), clip.frames, dtype=torch.bool)
    for i, word in enumerate(prompt.words()):
        if word.kind == "event":
            mask[i] = rows[word.mention]
    return Truth(words, mask, clip.frame_rate)


def obedient(make):
    """A generator whose clips are `make(request)`."""

    @Generator.register
    class Obedient:
        def __init__(self):
            self.asked = []

        def sampling_settings(self):
            return ()

        def generate_many(self, requests):
            self.asked += requests
            return [Made(make(request)) for request in requests]

    return Obedient()


@pytest.mark.parametrize(
    ("text", "first", "second", "expected"),
    [
        ("a dog barks", "steady", None, {"single", "steady", "no attributes"}),
        ("a dog barks loudly", "gaps", None, {"single", "gappy", "attributes"}),
        ("a dog barks while rain falls", "gaps", "steady", {"while", "gappy", "no attributes"}),
        ("rain falls after a dog barks", "steady", "steady", {"followed", "reversed order", "steady", "no attributes"}),
        ("a dog barks then rain falls", "steady", "some", {"followed", "no attributes"}),
        ("a dog barks without rain falling", "steady", None, {"single", "denied", "steady", "no attributes"}),
    ],
)
def test_strata_follow_from_the_prompt_and_from_how_much_of_a_stretch_is_silent(text, first, second, expected):
    prompt = parse(text)
    shapes = {"steady": [1] * 40, "gaps": [1, 0] * 20, None: [0] * 40}
    shapes["some"] = [1] * 20 + [0] * 4 + [1] * 16  # a tenth
    rows = [shapes[first], shapes[second]]
    words = prompt.words()
    mask = torch.tensor([rows[w.mention] if w.kind == "event" else [0] * 40 for w in words], dtype=torch.bool)
    known = tuple(
        TrueWord(w.start_char, w.end_char, "event" if w.kind == "event" else "filler", bool(row.any()))
        for w, row in zip(words, mask, strict=True)
    )
    found = strata(prompt, Truth(known, mask, 25.0))
    assert set(found) == expected
    assert list(found) == [name for name in STRATA if name in expected]


def test_three_events_are_one_stratum_of_two_forms():
    for text in ("a dog barks, then rain falls, then a bell rings", "a dog barks while rain falls, then a bell rings"):
        prompt = parse(text)
        known = tuple(TrueWord(w.start_char, w.end_char, "filler") for w in prompt.words())
        found = strata(prompt, Truth(known, torch.zeros(len(known), 10, dtype=torch.bool), 25.0))
        assert found == ("three events", "no attributes")


@pytest.mark.parametrize(
    ("hears", "roles"),
    [
        (lambda text: "dog" in text or "barks" in text, ["redundant", "redundant"]),
        (lambda text: "dog" in text, ["necessary", "idle"]),
        (lambda text: "dog" in text and "barks" in text, ["necessary", "necessary"]),
    ],
)
def test_single_words_are_necessary_redundant_or_idle_by_what_is_left_without_them(clip, hears, roles):
    model = obedient(lambda request: halves("dog" if hears(request.prompt) else None, "rain"))
    half = torch.arange(clip.frames) < clip.frames // 2
    found = single_words(model, clip, Ears(), truth_of(clip, half, ~half))
    words = parse(clip.prompt).words()
    assert [words[each.word].text for each in found] == ["dog", "barks", "rain", "falls"]
    assert [each.role for each in found[:2]] == roles
    assert [each.role for each in found[2:]] == ["redundant", "redundant"]  # it rains whatever is said
    assert {request.seed for request in model.asked} == {clip.seed}


def test_a_word_is_needed_now_in_the_windows_in_which_cutting_it_silences_its_sound(clip):
    """A model that needs the words at an onset alone, and goes on by itself."""
    size = round(WINDOW * clip.frame_rate)

    def make(request):
        if request.mask is None or request.prompt != clip.prompt:
            return halves("dog" if "dog" in request.prompt else None, "rain" if "rain" in request.prompt else None)
        cut = (request.mask == 0).any(1).nonzero()[:, 0]
        spans = [clip.prompt[a:b].strip() for a, b in clip.spans]
        gone = {spans[i] for i in (request.mask == 0).any(0).nonzero()[:, 0].tolist()}
        wave = halves("dog", "rain")
        if len(cut) == clip.positions:  # throughout
            return halves(None if "dog" in gone else "dog", None if "rain" in gone else "rain")
        if "dog" in gone and cut[0] == 0:
            wave[0, : size * 640] = -1
        return wave

    answer = needed_now(obedient(make), clip, Ears())
    said = {clip.prompt[w.start : w.end]: row for w, row in zip(answer.words, answer.mask, strict=True)}
    for word in ("dog", "barks"):
        assert said[word][:size].all()
        assert not said[word][size:].any()
    for word in ("a", "then", "rain", "falls"):
        assert not said[word].any()
    assert [word.causal for word in answer.words] == [False, True, True, False, True, True]


def test_the_twin_of_a_clip_lacks_its_last_event_and_has_the_others_where_they_are_heard(clip):
    half = torch.arange(clip.frames) < clip.frames // 2
    known = truth_of(clip, half, ~half)
    model = obedient(lambda request: halves("dog", "rain" if "rain" in request.prompt else None))
    found = twin(model, clip, Ears(), known)
    said = [clip.prompt[word.start : word.end] for word in known.words]
    assert [said[i] for i in found.missing] == ["rain", "falls"]
    assert found.generation.prompt == clip.prompt
    assert found.truth.mask.any(1).tolist() == [False, True, True, False, False, False]
    assert [word.causal for word in found.truth.words] == [False, True, True, False, True, True]
    assert twin(obedient(lambda request: halves("dog", "rain")), clip, Ears(), known) is None  # it rains all the same


def test_a_clip_that_ignores_one_event_is_found_among_several_and_none_if_all_obey(clip):
    half = torch.arange(clip.frames) < clip.frames // 2
    known = truth_of(clip, half, ~half)

    def make(request):
        return halves(None, "rain") if request.seed == clip.seed + 2 else halves("dog", "rain")

    # clips are presented by the generator; these are the fixture's with another sound
    model = obedient(make)
    model.generate_many = lambda requests: [replace(clip, seed=r.seed, waveform=make(r)) for r in requests]
    found = ignoring(model, clip, Ears(), known, tries=4)
    said = [clip.prompt[word.start : word.end] for word in known.words]
    assert found.generation.seed == clip.seed + 2
    assert [said[i] for i in found.missing] == ["dog", "barks"]
    assert found.truth.mask.any(1).tolist() == [False, False, False, False, True, True]
    model.generate_many = lambda requests: [replace(clip, seed=r.seed) for r in requests]
    assert ignoring(model, clip, Ears(), known, tries=4) is None
