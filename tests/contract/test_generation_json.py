"""What describes a clip, as JSON and tensors and back."""

import json

import pytest
import torch

from tagxai.contract.generation_json import from_json, to_json, to_tensors
from tagxai.contract.timeline import LatentFrames


def test_a_clip_is_the_same_after_a_file(generation):
    content = json.loads(json.dumps(to_json(generation)))
    again = from_json(content, to_tensors(generation), generation.waveform)
    assert again.sounds_as(generation)
    assert content["duration"] == again.duration
    described = ("prompt", "tokens", "spans", "sample_rate", "timeline", "seed", "generator", "settings")
    assert [getattr(again, field) for field in described] == [getattr(generation, field) for field in described]
    assert to_json(again) == to_json(generation)


def test_what_earlier_versions_wrote_is_read(generation):
    content = to_json(generation)
    timeline = content.pop("timeline")
    content |= {"token_spans": content.pop("spans"), "delays": timeline["delays"], "frame_rate": timeline["frame_rate"]}
    again = from_json(content, {"codes": generation.record["codes"]}, generation.waveform)
    assert again.sounds_as(generation)
    with pytest.raises(ValueError, match="do not fit a timeline of 1 streams"):
        from_json(content | {"delays": [0]}, {"codes": generation.record["codes"]}, generation.waveform)


@pytest.mark.parametrize("missing", ["seed", "spans", "prompt"])
def test_json_that_lacks_something_is_refused(generation, missing):
    content = {key: value for key, value in to_json(generation).items() if key != missing}
    with pytest.raises(KeyError, match=missing):
        from_json(content, to_tensors(generation), generation.waveform)


def test_latent_frames_are_kept_and_unknown_timelines_refused(generation):
    content = to_json(generation) | {"timeline": LatentFrames(8, 21.5, 3).to_json()}
    again = from_json(content, {"record.latents": torch.ones(4, 8)}, generation.waveform)
    assert again.timeline == LatentFrames(8, 21.5, 3)
    assert list(again.record) == ["latents"]
    with pytest.raises(ValueError, match="no timeline"):
        from_json(content | {"timeline": {"kind": "x", "frames": 1, "frame_rate": 1}}, {}, generation.waveform)
