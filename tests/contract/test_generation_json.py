"""What describes a clip, as JSON and back."""

import json

import pytest
import torch

from tagxai.contract.generation_json import from_json, to_json


def test_a_clip_is_the_same_after_a_file(generation):
    content = json.loads(json.dumps(to_json(generation)))
    again = from_json(content, {"codes": generation.codes}, generation.waveform)
    assert torch.equal(again.codes, generation.codes)
    assert content["duration"] == again.duration
    described = ("prompt", "tokens", "token_spans", "sample_rate", "frame_rate", "delays", "seed", "generator")
    assert [getattr(again, field) for field in described] == [getattr(generation, field) for field in described]
    assert again.settings == generation.settings
    assert to_json(again) == to_json(generation)


def test_the_keys_are_those_that_existing_folders_have(generation):
    assert list(to_json(generation)) == [
        *("prompt", "generator", "seed", "settings", "tokens", "token_spans", "delays"),
        *("frame_rate", "sample_rate", "duration"),
    ]


def test_json_that_does_not_fit_its_codes_is_refused(generation):
    content = to_json(generation)
    with pytest.raises(ValueError, match="codebook delays"):
        from_json(content | {"delays": [0]}, {"codes": generation.codes}, generation.waveform)
    with pytest.raises(KeyError, match="seed"):
        from_json({k: v for k, v in content.items() if k != "seed"}, {"codes": generation.codes}, generation.waveform)
