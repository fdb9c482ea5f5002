"""The control `random` draws a map for each clip, and captum's fits need as many samples as they have unknowns."""

from dataclasses import replace

import pytest
import torch

from tagxai.errors import TagxaiError
from tagxai.explaining.loading import make_method


def test_the_maps_of_other_clips_and_seeds_are_other_draws(generator, generation):
    clips = [generation, replace(generation, seed=4), generator.generate("a dog howls while rain falls", duration=1.0)]
    maps = [make_method("random", {"seed": seed}).attribute(generator, clip) for seed in (0, 1) for clip in clips]
    again = make_method("random").attribute(generator, generation)
    assert torch.equal(again.scores, maps[0].scores)
    assert len({each.scores[0, :4, :4].sum().item() for each in maps}) == 6


@pytest.mark.parametrize("name", ["captum:KernelShap", "captum:Lime"])
@pytest.mark.parametrize("samples", [1, 2, 6])
def test_fewer_samples_than_units_are_refused(name, samples, generator, generation):
    pytest.importorskip("captum")
    with pytest.raises(TagxaiError, match=f"expected n_samples above the 7 units of this prompt, not {samples}"):
        make_method(name, {"n_samples": samples}).attribute(generator, generation)
