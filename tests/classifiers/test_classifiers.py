"""Classifiers as callables: shapes, rates, channels and batches; the embedded detector; unknown names."""

import math
import sys

import pytest
import torch

from tagxai.classifiers import Classifier, load_classifier, resampled
from tagxai.classifiers.detector import Detector
from tagxai.errors import TagxaiError
from tagxai.laboratory.judging.detector import EventDetector


class Level(Classifier):
    """The root mean square of a clip, and how many clips came at once."""

    labels, sample_rate, exclusive, batch_size = ("level",), 8000, False, 2

    def __init__(self):
        self.batches = []

    def probabilities(self, waveform):
        assert not torch.is_grad_enabled()
        self.batches.append(tuple(waveform.shape))
        return waveform.square().mean(1, keepdim=True).sqrt()


def test_clips_of_one_length_go_together_and_come_back_in_their_order():
    level = Level()
    lengths = [100, 50, 100, 100]
    clips = [torch.full((2, length), float(i)) for i, length in enumerate(lengths)]
    found = level(clips, 8000)
    assert found.tolist() == [[0.0], [1.0], [2.0], [3.0]]
    assert level.batches == [(2, 100), (1, 100), (1, 50)]


def test_channels_are_averaged():
    opposite = torch.stack([torch.ones(80), -torch.ones(80)])
    assert Level()([opposite], 8000).item() == 0


def test_a_tone_keeps_its_frequency_when_the_rate_is_converted():
    pytest.importorskip("torchaudio")
    time = torch.arange(16_000) / 16_000
    tone = torch.sin(2 * math.pi * 1000 * time)[None]
    doubled = resampled(tone, 16_000, 32_000)
    assert doubled.shape == (1, 32_000)
    expected = torch.sin(2 * math.pi * 1000 * torch.arange(32_000) / 32_000)
    torch.testing.assert_close(doubled[0, 500:-500], expected[500:-500], atol=2e-2, rtol=0)
    assert resampled(tone, 16_000, 16_000) is tone


def test_without_torchaudio_another_rate_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio.functional", None)
    with pytest.raises(TagxaiError, match=r"16000 Hz for a classifier of 8000 Hz needs torchaudio"):
        Level()([torch.zeros(1, 100)], 16_000)


def test_an_unknown_classifier_is_refused_with_the_choices():
    with pytest.raises(TagxaiError, match="no classifier named 'pasta'; did you mean 'passt'"):
        load_classifier("pasta")


def test_the_detector_says_how_surely_each_event_is_heard():
    torch.manual_seed(0)
    model = EventDetector(events=("dog", "rain", "bell"), width=8).eval()
    clips = [torch.randn(1, 16_000) * 0.1 for _ in range(3)]
    found = Detector(model)(clips, 16_000)
    for row, clip in zip(found, clips, strict=True):
        surest = model(clip)[0].sort(0, descending=True).values[:3].mean(0)
        torch.testing.assert_close(row, surest, atol=1e-6, rtol=0)
    assert Detector(model).labels == ("dog", "rain", "bell")


def test_the_detector_takes_no_weights_of_others():
    with pytest.raises(TagxaiError, match=r"takes no source, not 'other\.safetensors'"):
        load_classifier("detector:other.safetensors")


def test_the_embedded_detector_is_loaded_once():
    assert load_classifier("detector") is load_classifier("detector")
