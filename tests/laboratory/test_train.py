"""The parts of training that are easy to get subtly wrong."""

import numpy as np
import pytest
import torch

from tagxai.laboratory.sounds.clips import render
from tagxai.laboratory.train import lm
from tagxai.laboratory.train.__main__ import main
from tagxai.laboratory.train.checkpoints import load, save
from tagxai.laboratory.train.codec import assemble, build
from tagxai.laboratory.train.latents import LatentSpace, fit
from tagxai.laboratory.train.loop import schedule
from tagxai.laboratory.train.residual import fit_residual_codebooks


@pytest.fixture(scope="module")
def waveform():
    rng = np.random.default_rng(0)
    pairs = [("single", ("bell",)), ("while", ("dog", "rain")), ("followed", ("alarm", "bird"))]
    return torch.from_numpy(np.stack([render(*pair, rng).waveform for pair in pairs]))


@pytest.fixture(scope="module")
def space(waveform):
    return fit(waveform, dim=16, codes=8)[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--seed", "-1"], "--seed takes 0 or more, not -1"),
        (["--threads", "0"], "--threads takes 1 or more, not 0"),
        (["--clips", "0"], "--clips takes 1 or more, not 0"),
        (["--batch", "0"], "--batch takes 1 or more, not 0"),
        (["--device", "abacus"], "torch has no device 'abacus' here; the default is cpu"),
        (["--lm-steps", "-5"], "--lm-steps takes 0 or more, not -5"),
        (["--captions", "nowhere"], "no CSV in nowhere"),
        (["--weights", __file__], "is a file; expected a folder"),
        (["--stage", "lm"], "run --stage text first"),
        (["--stage", "export"], "run --stage codec first"),
        (["--natural"], "give --captions FOLDER"),
        (["--natural", "--stage", "codec"], "--natural has no stage codec; its stages are text, lm, export"),
        (["--natural", "--stage", "export"], "run --stage text first"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_made(options, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train", "--out", str(tmp_path / "run"), *options])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_delay_is_the_pattern_of_transformers():
    codes = torch.randint(0, lm.PAD, (2, 4, 9))
    columns = lm.delay(codes)
    start = torch.full((8, 1), lm.PAD)
    _, pattern = lm.build().decoder.build_delay_pattern_mask(start, lm.PAD, max_length=columns.shape[-1])
    assert torch.equal((columns == lm.PAD).flatten(0, 1), pattern == lm.PAD)
    assert torch.equal(columns[columns != lm.PAD].reshape(2, 4, 9), codes)


def test_an_all_zero_mask_is_the_null_condition_whatever_the_text():
    model = lm.build().eval()
    columns = lm.delay(torch.randint(0, 256, (1, 4, 6)))[..., :-1]
    mask = torch.zeros(1, 5, dtype=torch.long)
    first, second = (model(columns, torch.randn(1, 5, 128), mask) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_forgetting_changes_some_frames_of_some_clips_and_whole_frames_only():
    codes = torch.arange(64 * 75).view(64, 1, 75).expand(64, 4, 75)
    forgotten = lm.forget(codes, torch.Generator().manual_seed(0))
    changed = forgotten != codes
    assert torch.equal(changed[:, 0], changed[:, 3])
    untouched = ~changed.flatten(1).any(1)
    assert 0.15 < untouched.float().mean() < 0.55


def test_each_residual_codebook_leaves_less():
    points = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    _, left = fit_residual_codebooks(points, codebooks=3, codes=32, rounds=10)
    assert 1 > left[0] > left[1] > left[2]


def test_codes_of_the_latent_space_are_those_of_the_exported_quantiser(tmp_path, waveform):
    config = build().config
    books = torch.randn(4, config.codebook_size, config.hidden_size, generator=torch.Generator().manual_seed(0))
    space = LatentSpace(torch.zeros(321), torch.eye(321)[:, : config.hidden_size], books)
    save(space._asdict(), tmp_path / "latents.pt")
    codec, latents = assemble(tmp_path), space.latents(waveform)
    codes = codec.quantizer.encode(latents.transpose(1, 2)).transpose(0, 1)
    assert torch.equal(codes, space.encode(latents))
    decoded = codec.quantizer.decode(codes.transpose(0, 1)).transpose(1, 2)
    assert torch.allclose(decoded, space.decode(codes), atol=1e-5)


def test_latents_of_a_frame_do_not_depend_on_its_neighbours(space: LatentSpace, waveform):
    whole, part = space.latents(waveform), space.latents(waveform[:, 640 * 10 : 640 * 20])
    assert torch.allclose(whole[:, 10:20], part, atol=1e-5)


def test_a_checkpoint_is_replaced_whole(tmp_path):
    path = tmp_path / "a.pt"
    assert load(path) is None
    save({"step": 1}, path)
    save({"step": 2}, path)
    assert load(path) == {"step": 2}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]


def test_the_schedule_warms_up_and_cools_down():
    factors = [schedule(step, 1000, warmup=100) for step in range(1000)]
    assert factors[0] < factors[50] < factors[99] == 1.0
    assert factors[100] > factors[500] > factors[999] > 0
