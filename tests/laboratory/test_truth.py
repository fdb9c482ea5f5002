"""The truth of a clip: words that act, where they act, and only if interventions confirm it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.contract.generator import Generator
from tagxai.explaining.loading import load_generator
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.interventions import WordEffect, direct_share, intervene, removed, replaced, word_effect
from tagxai.laboratory.judging.truth import _attribute_confirmed, truth
from tagxai.laboratory.judging.witness import Witness
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.streams import prompts


@pytest.fixture(scope="module")
def generator():
    return load_generator("tiny")


@pytest.fixture(scope="module")
def clip(generator):
    return generator.generate("a dog barks then rain falls", seed=3)


class Ears(EventDetector):
    """A detector that hears what a made-up waveform says: its samples are one number, the index of an event."""

    events = ("dog", "rain", "bell")

    def __init__(self):
        torch.nn.Module.__init__(self)  # it has no network

    def __call__(self, waveform):
        frames = waveform[:, ::640]
        return torch.stack([(frames == i).float() for i in range(len(self.events))], dim=-1)

    def strength(self, waveform, start, end):
        return self(waveform)[:, round(start * 25) : round(end * 25)].topk(3, dim=1).values.mean(1)


def sounding(text):
    """A waveform of the stated kind for `X then Y`: each half is the index of the event that is named there."""
    wave = torch.full((48_000,), -1.0)
    prompt = parse(text)
    for mention in prompt.present if prompt else ():
        if mention.event in Ears.events:
            wave[round(mention.start_s * 16_000) : round(mention.end_s * 16_000)] = Ears.events.index(mention.event)
    return wave[None]


@Generator.register
class Obedient:
    """A generator that makes what the words say, and that for no words makes silence."""

    def __init__(self, deaf_to=()):
        self.deaf_to, self.asked = deaf_to, []

    def generate_many(self, requests):
        return [self.made(request.prompt, request.seed) for request in requests]

    def made(self, prompt, seed):
        self.asked.append((prompt, seed))
        parsed = parse(prompt)
        wave = sounding(prompt)
        if parsed is None:  # what is left when words were removed: the remaining event in its place
            for half, event in enumerate(Ears.events[:2]):
                if event in prompt:
                    wave[0, half * 24_000 : (half + 1) * 24_000] = half
        for event in self.deaf_to:  # says it always
            wave[0, :24_000] = Ears.events.index(event)
        return type("Made", (), {"waveform": wave})()


def test_words_are_true_in_the_frames_of_their_own_event_and_nowhere_else(clip):
    answer = truth(Obedient(), replace(clip, waveform=sounding(clip.prompt)), Ears())
    said = {clip.prompt[word.start : word.end]: row for word, row in zip(answer.words, answer.mask, strict=True)}
    half = clip.frames // 2
    for word in ("dog", "barks"):
        assert said[word][:half].all()
        assert not said[word][half + 3 :].any()
    for word in ("rain", "falls"):
        assert said[word][half + 3 :].all()
        assert not said[word][: half - 3].any()
    for word in ("a", "then"):
        assert not said[word].any()
    assert [word.causal for word in answer.words] == [False, True, True, False, True, True]


def test_a_word_whose_event_sounds_whatever_the_prompt_says_is_not_causal(clip):
    answer = truth(Obedient(deaf_to=["dog"]), replace(clip, waveform=sounding(clip.prompt)), Ears())
    causal = {clip.prompt[word.start : word.end] for word in answer.words if word.causal}
    assert causal == {"rain", "falls"}


def test_clips_of_interventions_share_the_seed_of_the_generation(clip):
    generator = Obedient()
    truth(generator, replace(clip, waveform=sounding(clip.prompt)), Ears())
    assert {seed for _, seed in generator.asked} == {clip.seed}


def test_the_embedded_model_offers_the_truth_of_its_own_clips(generator, clip):
    answer = generator.truth(clip)
    assert answer.mask.shape == (6, clip.frames)
    assert answer.frame_rate == clip.frame_rate
    assert sum(word.causal for word in answer.words) >= 2
    assert generator.truth(replace(clip, prompt="something else")) is None


def test_a_prompt_of_nothing_but_its_event_has_a_truth(generator):
    answer = generator.truth(generator.generate("falling rain", seed=0))
    assert [word.kind for word in answer.words] == ["event", "event"]


@pytest.mark.parametrize(("opposite", "confirmed"), [("quiet", True), ("loud", False), (None, False)])
def test_an_attribute_is_confirmed_only_by_another_value_that_was_measured(opposite, confirmed):
    prompt = parse("a dog barks loudly then rain falls")
    loudly = next(word for word in prompt.words() if word.kind == "attribute")

    class Measured(Witness):
        def __init__(self):
            pass

        def value(self, text, mention, attribute):
            return "loud" if text == prompt.text else opposite

    assert _attribute_confirmed(prompt, prompt.mentions[0], loudly, Measured(), "word") is confirmed


def test_at_the_level_of_attention_words_are_confirmed_by_cutting_their_own_tokens(clip):
    """A model that takes the dog from its own words, and rain from any other."""
    cut = []

    @Generator.register
    class Attentive:
        def generate_many(self, requests):
            return [self.made(request.prompt, request.mask) for request in requests]

        def made(self, prompt, mask):
            assert prompt == clip.prompt
            assert mask.shape == (clip.positions, len(clip.tokens))
            gone = {prompt[a:b].strip() for (a, b), kept in zip(clip.spans, mask[0], strict=True) if not kept}
            cut.append(gone)
            wave = sounding(prompt)
            if "dog" in gone:
                wave[0, :24_000] = -1
            return type("Made", (), {"waveform": wave})()

    answer = truth(Attentive(), replace(clip, waveform=sounding(clip.prompt)), Ears(), "attention")
    assert [("dog" in gone, "rain" in gone, "then" in gone) for gone in cut] == [(1, 0, 0), (0, 1, 0)]
    assert {clip.prompt[word.start : word.end] for word in answer.words if word.causal} == {"dog", "barks"}


def test_the_embedded_model_knows_both_levels_apart(generator, clip):
    answer = generator.truth(clip, "attention")
    assert any(word.causal for word in answer.words)
    assert generator.truth(clip, "attention") is answer
    assert generator.truth(clip) is not answer


def test_replacing_and_removing_change_the_words_of_one_event_only():
    rng = np.random.default_rng(0)
    for prompt in prompts("test", 60):
        for mention in prompt.present:
            text, event = replaced(prompt, mention, rng)
            assert event not in {m.event for m in prompt.mentions}
            assert text.startswith(prompt.text[: mention.start_char])
            assert text.endswith(prompt.text[mention.end_char :])
            assert prompt.text[mention.start_char : mention.end_char] not in removed(prompt, mention)


def test_a_prompt_in_capitals_is_changed_as_one_without():
    low, loud = parse("a dog barks while rain falls"), parse("A DOG BARKS While Rain falls")
    for mention, same in zip(low.mentions, loud.mentions, strict=True):
        changed = [replaced(prompt, m, np.random.default_rng(0)) for prompt, m in ((low, mention), (loud, same))]
        assert changed[0][1] == changed[1][1]
        assert changed[0][0].lower() == changed[1][0].lower()


def test_the_intervention_table_asks_three_clips_an_event():
    asked = [parse("a dog barks then rain falls")]
    made = []

    def synthesise(texts, seed):
        made.extend(texts)
        return torch.cat([Obedient().made(text, seed).waveform for text in texts])

    table = intervene(Ears(), synthesise, asked, np.random.default_rng(0))
    assert [row.event for row in table] == ["dog", "rain"]
    assert all(row.confirmed and row.asked == 1 and row.replaced == row.removed == 0 for row in table)
    assert len(made) == 6


def test_effects_are_those_of_other_words_and_of_blocking_the_words_own_tokens(generator, clip):
    """Slowly: other words before encoding; or the tokens' attention weights cut, and the rest scaled up to one."""
    prompt = parse(clip.prompt)
    mention = prompt.present[1]
    found = word_effect(generator, clip, prompt, mention, np.random.default_rng(0))
    own = [i for i, token in enumerate(clip.tokens) if token.strip("\u2581") in ("rain", "falls")]
    assert own

    def block(site, weights):
        blocked = weights.clone()
        blocked[..., own] = 0
        return blocked / blocked.sum(-1, keepdim=True)

    def value(text):
        log_prob = generator.forward(clip, generator.encode_prompt([text])).log_prob
        return log_prob[0, :, clip.frame_range(1.5, 3.0).start :].sum().item()

    with torch.no_grad():
        whole, other = value(clip.prompt), value(replaced(prompt, mention, np.random.default_rng(0))[0])
        with edit_attention(generator.cross_attention(), block):
            blocked = value(clip.prompt)
    assert found.total == pytest.approx(whole - other, abs=1e-2)
    assert found.direct == pytest.approx(whole - blocked, abs=1e-2)
    assert min(found.total, found.direct) > 1  # nats: the words matter, both ways


def test_the_direct_share_weighs_events_by_their_effect():
    assert direct_share([WordEffect(4.0, 3.0), WordEffect(6.0, 5.0)]) == pytest.approx(0.8)


def test_the_truth_of_a_clip_is_found_once(generator, clip, monkeypatch):
    first = generator.truth(clip)
    monkeypatch.setattr(generator, "generate_many", None)
    assert generator.truth(clip) is first
