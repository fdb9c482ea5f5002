"""The share of each way in, and when in denoising a word acts."""

from dataclasses import replace

import torch
from cli_helpers import run
from small_latent import small_latent

from tagxai.contract.attribution import Attribution
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.kept_answers import kept
from tagxai.scoring import by_stream, ways_in

PROMPT = "a dog barks while rain falls"


def test_a_model_with_one_way_in_loses_everything_by_it(generator):
    """Closing the only way in is the unconditional branch, in both families."""
    for model in (generator, small_latent()):
        clip = model.generate(PROMPT, duration=0.4, seed=1)
        found = ways_in(model, clip)
        expected = model.forward(clip).log_prob - model.forward(clip, branch="unconditional").log_prob
        assert list(found.lost) == ["cross-attention"]
        torch.testing.assert_close(found.lost["cross-attention"], expected[0].mean(-1), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.together, expected[0].mean(-1), atol=1e-4, rtol=1e-4)
        assert found.shares() == {"cross-attention": 1.0 if found.together.sum() > 0 else 0.0}


def test_words_by_noise_level_are_means_over_the_clip():
    model = small_latent()
    clip = model.generate(PROMPT, duration=0.4, seed=1)
    scores = torch.rand(model.levels, clip.frames, len(clip.tokens), generator=torch.Generator().manual_seed(0))
    for merge in ("sum", "mean"):
        attribution = Attribution(clip, scores, "random", merge=merge)
        units, found = attribution.words(), by_stream(attribution, attribution.words())
        for level in range(model.levels):
            for column, unit in enumerate(units):
                own = [scores[level, :, token].mean() for token in unit.tokens]
                expected = sum(own) if merge == "sum" else sum(own) / len(own)
                torch.testing.assert_close(found[level, column], expected)


def test_effects_prints_the_share_of_each_of_several_ways(generator, generation, tmp_path, monkeypatch):
    """A model that reads its text by two ways, of which one is closed by halving what the other closes by zeros."""
    own = type(generator).ways_in

    def two(self, clip):
        whole = self.encode_prompt([clip.prompt])
        return own(self, clip) | {"a second way": replace(whole, embeddings=whole.embeddings / 2)}

    folder = Explanation(Attribution(generation, torch.rand(1, generation.frames, len(generation.tokens)), "random"))
    folder = folder.save(tmp_path / "out")
    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda *given, **named: generator)
    assert "as shares" not in run("effects", folder).stderr
    monkeypatch.setattr(type(generator), "ways_in", two)
    shown = run("effects", folder)
    ways = ways_in(generator, generation)
    shares = ways.shares()
    assert shown.exit_code == 0, shown.output
    said = " ".join(shown.stderr.split())
    assert f"cross-attention {shares['cross-attention']:.0%}, a second way {shares['a second way']:.0%}." in said
    (answer,) = [each for each in kept(folder, generation) if each.header[0] == "way"]
    for row, (way, lost) in zip(answer.rows, ways.lost.items(), strict=False):
        assert row == [way, f"{shares[way]:.0%}", *(f"{loss:.3f}" for loss in lost.tolist())]
    assert answer.rows[-1][2:] == [f"{loss:.3f}" for loss in ways.together.tolist()]
