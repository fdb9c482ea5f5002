"""What a benchmark's folder remembers between its cells."""

import random
from dataclasses import replace

import pytest
import torch

from tagxai.benchmark.artefacts import clips_on, explanations_of
from tagxai.benchmark.store import Store

KEY = "5eed" * 8
CPU = torch.device("cpu")


def test_an_artefact_is_made_once_and_read_back_with_its_seconds(generation, tmp_path):
    asked = []

    def make():
        asked.append(1)
        return generation, 1.5

    for _ in range(2):
        clip, seconds = Store(tmp_path).remembered(clips_on(CPU), KEY, make)
        assert clip.sounds_as(generation)
        assert torch.equal(clip.waveform, generation.waveform)  # bit for bit, unlike a sound file
        assert (clip.spans, clip.settings) == (generation.spans, generation.settings)
        assert seconds == 1.5
    assert asked == [1]


def test_what_is_damaged_or_of_another_key_is_made_again(generation, tmp_path):
    store, other = Store(tmp_path), replace(generation, prompt="another prompt")
    store.remembered(clips_on(CPU), KEY, lambda: (generation, 1.0))
    (file,) = (tmp_path / "clips").glob("*/*")
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    assert store.remembered(clips_on(CPU), KEY, lambda: (other, 2.0))[0].prompt == "another prompt"
    elsewhere = tmp_path / "clips" / "ab" / f"{'ab' * 16}.safetensors"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(file.read_bytes())
    assert store.remembered(clips_on(CPU), "ab" * 16, lambda: (generation, 3.0))[1] == 3.0


def test_an_explanation_comes_back_whole(explanation, tmp_path):
    spread = replace(explanation, deviation=explanation.scores.abs(), merge="mean", diagnostics={"loss": [1.0]})
    kind = explanations_of(explanation.generation)
    store = Store(tmp_path)
    store.remembered(kind, KEY, lambda: (spread, 0.5))
    found, _ = store.remembered(kind, KEY, lambda: pytest.fail("it was made again"))
    assert found.generation is explanation.generation
    assert torch.equal(found.scores, spread.scores)
    assert torch.equal(found.deviation, spread.deviation)
    for field in ("method", "settings", "merge", "is_mask", "cost", "diagnostics", "versions"):
        assert getattr(found, field) == getattr(spread, field)


def test_what_making_draws_from_global_random_numbers_comes_from_the_key(generation, tmp_path):
    def make():
        return generation, random.random()

    first = Store(tmp_path / "a").remembered(clips_on(CPU), KEY, make)[1]
    random.random()
    assert Store(tmp_path / "b").remembered(clips_on(CPU), KEY, make)[1] == first
    assert Store(tmp_path / "b").remembered(clips_on(CPU), "ab" * 16, make)[1] != first
