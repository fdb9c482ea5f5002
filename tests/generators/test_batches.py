"""Many clips in one stream: bit for bit those of one-by-one calls, whatever is mixed, under both backends."""

import random

import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.contract.request import Request
from tagxai.errors import TagxaiError
from tagxai.generators.codes import batches
from tagxai.generators.codes.stream import Stream
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.probing.edits import Capture
from tagxai.testing import random_checkpoint

PROMPTS = ("a dog barks while rain falls", "rain", "thunder then a bell", "a bird sings")
SETTINGS = ({}, {"top_k": 5}, {"temperature": 0.7, "guidance_scale": 1.5}, {"temperature": 0})


@pytest.fixture(scope="module")
def stereo(tmp_path_factory):
    return TransformersGenerator.load(str(random_checkpoint(tmp_path_factory.mktemp("stereo"), channels=2)))


def mix(generator, seed, count=9):
    """Requests that differ in all that they can."""
    drawn, requests = random.Random(seed), []
    for number in range(count):
        prompt, duration, mask = drawn.choice(PROMPTS), drawn.choice((0.2, 0.4)), None
        if drawn.random() < 0.4:
            shape = generator.timeline(duration).positions, len(generator.encode_prompt([prompt]).tokens[0])
            mask = torch.rand(shape, generator=torch.Generator().manual_seed(number))
        branch = drawn.choice(("guided", "guided", "conditional", "unconditional"))
        requests.append(Request(prompt, duration, number, mask, branch, drawn.choice(SETTINGS)))
    return requests


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("which", ["generator", "stereo", "audiocraft_generator"])
def test_clips_of_any_mix_are_those_of_one_by_one_calls(request, which, seed):
    generator = request.getfixturevalue(which)
    requests = mix(generator, seed)
    many = generator.generate_many(requests)
    assert len(many) == len(requests)
    for asked, clip in zip(requests, many, strict=True):
        alone = generator.generate_one(asked)
        assert clip.sounds_as(alone)
        assert torch.equal(clip.waveform, alone.waveform)
        assert clip.settings == alone.settings


def test_clips_really_share_a_stream(generator, monkeypatch):
    sizes = []
    own = Stream.sample
    monkeypatch.setattr(Stream, "sample", lambda self, step: (sizes.append(len(self.jobs)), own(self, step))[1])
    generator.generate_many(mix(generator, 2))
    assert sizes == [9]


def test_out_of_memory_halves_the_stream_and_loses_no_clip(generator, monkeypatch):
    sizes, own = [], Stream.sample

    def sample(self, step):
        sizes.append(len(self.jobs))
        if len(self.jobs) > 3:
            step(len(self.jobs))  # it had begun
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(self, step)

    requests, reports = mix(generator, 3), []
    expected = generator.generate_many(requests)
    monkeypatch.setattr(Stream, "sample", sample)
    found = generator.generate_many(requests, on_progress=reports.append)
    assert all(one.sounds_as(other) for one, other in zip(found, expected, strict=True))
    assert sizes == [9, 5, 3, 3, 3]
    assert reports[-1].done == reports[-1].total


def test_out_of_memory_for_one_clip_is_one_sentence(generator, monkeypatch):
    def sample(self, step):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Stream, "sample", sample)
    with pytest.raises(TagxaiError, match=r"^there is not enough memory to make audio; use a shorter --duration"):
        generator.generate_many(mix(generator, 3, 2))


def test_a_processor_whose_rows_never_agree_makes_one_clip_at_a_time(generator, monkeypatch):
    sizes, own = [], Stream.sample
    monkeypatch.setattr(batches, "rows_that_agree", lambda matrices: None)
    monkeypatch.setattr(Stream, "sample", lambda self, step: (sizes.append(len(self.jobs)), own(self, step))[1])
    generator.generate_many(mix(generator, 2, 3))
    assert sizes == [1, 1, 1]


def test_a_callers_own_edit_sees_one_clip_at_a_time(generator):
    prompts = ("rain", "a bell")
    with edit_attention(generator.cross_attention(), capture := Capture()):
        generator.generate_many([Request(prompts[0], 0.2), Request(prompts[0], 0.2, 1)])
    assert capture.weights().shape[0] == 1


def test_logits_that_are_not_finite_are_found_where_they_arise(generator, monkeypatch):
    heads = [lambda hidden: torch.full((len(hidden), 64), torch.nan)] * 4
    monkeypatch.setattr(type(generator), "_heads", property(lambda self: heads))
    with pytest.raises(TagxaiError, match=r"computed logits at step 0 that are not finite in float32"):
        generator.generate("rain", duration=0.2)
