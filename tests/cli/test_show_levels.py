"""`tagxai show --levels`: when in denoising each word acts."""

import pytest
import torch
from cli_helpers import run
from small_latent import small_latent

from tagxai.contract.attribution import Attribution
from tagxai.explaining.explanation import Explanation


@pytest.fixture(scope="module")
def clip():
    return small_latent().generate("a dog barks", duration=0.4, seed=1)


def saved(clip, streams, folder):
    """Each word's score is a figure of its own at each level."""
    scores = torch.arange(1.0, 1 + streams * len(clip.tokens)).reshape(streams, 1, -1)
    return Explanation(Attribution(clip, scores.repeat(1, clip.frames, 1), "occlusion")).save(folder)


def test_each_noise_level_is_a_column_with_its_noise(clip, tmp_path):
    shown = run("show", saved(clip, clip.streams, tmp_path / "out"), "--levels", "--by", "token")
    assert shown.exit_code == 0, shown.output
    heading = "occlusion: when in denoising each word acts, from noise on"
    assert heading in shown.stdout
    for number, noise in enumerate(clip.record["levels"].tolist()):
        assert f"level {number} ({noise:.3g})" in shown.stdout
    row = next(line for line in shown.stdout.splitlines() if "barks" in line)
    place = next(i for i, token in enumerate(clip.tokens) if "bark" in token)
    for number in range(clip.streams):
        assert f"{1 + place + number * len(clip.tokens):.3f}" in row


def test_scores_without_levels_are_one_sentence(clip, explanation, tmp_path):
    for folder in (saved(clip, 1, tmp_path / "one"), Explanation(explanation).save(tmp_path / "codes")):
        shown = run("show", folder, "--levels")
        assert shown.exit_code == 2
        assert "has no scores for each noise level; expected" in shown.stderr
        assert "Traceback" not in shown.stderr


def test_what_it_cannot_be_combined_with_is_one_sentence(clip, tmp_path):
    shown = run("show", saved(clip, clip.streams, tmp_path / "out"), "--levels", "--json")
    assert shown.exit_code == 2
    assert "leave out --json and --interval" in shown.stderr
