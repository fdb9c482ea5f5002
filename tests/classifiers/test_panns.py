"""PANNs' CNN14 against the network of the paper, its files of weights, and when they are read again."""

import math
import os

import pytest
import torch

from tagxai.classifiers import load_classifier
from tagxai.errors import TagxaiError


def cnn14_state(window=256, mels=8, classes=5):
    """Weights of a narrow CNN14 at random, under the published names; the filters of its spectrogram are Fourier's."""
    random = torch.Generator().manual_seed(0)
    bins, widths = window // 2 + 1, [1, 3, 4, 5, 6, 7, 8]
    turn = 2 * math.pi * torch.arange(bins)[:, None] * torch.arange(window) / window
    hann = torch.hann_window(window)
    state = {
        "spectrogram_extractor.stft.conv_real.weight": (hann * turn.cos())[:, None],
        "spectrogram_extractor.stft.conv_imag.weight": (-hann * turn.sin())[:, None],
        "logmel_extractor.melW": torch.rand(bins, mels, generator=random),
    }
    norms = {"bn0": mels} | {f"conv_block{i}.bn{j}": widths[i] for i in range(1, 7) for j in (1, 2)}
    for name, size in norms.items():
        for key in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{key}"] = torch.rand(size, generator=random) + (key == "running_var")
        state[f"{name}.num_batches_tracked"] = torch.tensor(1)
    for i in range(1, 7):
        state[f"conv_block{i}.conv1.weight"] = torch.randn(widths[i], widths[i - 1], 3, 3, generator=random)
        state[f"conv_block{i}.conv2.weight"] = torch.randn(widths[i], widths[i], 3, 3, generator=random) / 4
    for name, (after, before) in {"fc1": (widths[-1], widths[-1]), "fc_audioset": (classes, widths[-1])}.items():
        state[f"{name}.weight"] = torch.randn(after, before, generator=random) / 10
        state[f"{name}.bias"] = torch.randn(after, generator=random) / 10
    return state


def slow_cnn14(state, clip):
    """One clip through the network, as the paper and its published code describe it."""
    functional = torch.nn.functional

    def norm(maps, name):
        mean, var, scale, shift = (state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(maps, mean, var, scale, shift, training=False, eps=1e-5)

    stft = torch.stft(clip, 256, 80, window=torch.hann_window(256), center=True, return_complex=True)
    mel = stft.abs().square().T @ state["logmel_extractor.melW"]
    decibels = 10 * torch.log10(torch.clamp(mel, min=1e-10))
    maps = norm(decibels[None, None].transpose(1, 3), "bn0").transpose(1, 3)  # [1, 1, frames, mels]
    for i in range(1, 7):
        for j in (1, 2):
            maps = functional.conv2d(maps, state[f"conv_block{i}.conv{j}.weight"], padding=1)
            maps = functional.relu(norm(maps, f"conv_block{i}.bn{j}"))
        maps = functional.avg_pool2d(maps, 2 if i < 6 else 1)
    frames = maps.mean(3)[0]
    features = frames.max(1).values + frames.mean(1)
    features = functional.relu(state["fc1.weight"] @ features + state["fc1.bias"])
    return torch.sigmoid(state["fc_audioset.weight"] @ features + state["fc_audioset.bias"])


@pytest.mark.parametrize("wrapped", [True, False])
def test_panns_reads_its_weights_and_is_the_network_of_the_paper(wrapped, tmp_path):
    state = cnn14_state(mels=64)
    torch.save({"iteration": 3, "model": state} if wrapped else state, tmp_path / "cnn14.pth")
    model = load_classifier(f"panns:{tmp_path / 'cnn14.pth'}")
    assert (model.sample_rate, model.exclusive, len(model.labels)) == (8_000, False, 5)
    clips = [0.1 * torch.randn(1, 8_000, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    found = model(clips, 8_000)
    for row, clip in zip(found, clips, strict=True):
        torch.testing.assert_close(row, slow_cnn14(state, clip[0]), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found[0], found[1], atol=1e-4)
    assert model([torch.zeros(1, 100)], 8_000).shape == (1, 5)  # shorter than its poolings
    assert not any(weight.requires_grad for weight in model.model.parameters())


def with_old_dates(file, write):
    """A file written again, whose date and length are those of before."""
    status = file.stat()
    write(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size


@pytest.mark.parametrize("how", ["written over", "replaced", "with old dates", "by a link"])
def test_a_classifier_whose_file_was_changed_is_loaded_again(how, tmp_path):
    file, first, second = tmp_path / "cnn14.pth", cnn14_state(mels=64), cnn14_state(mels=64)
    second["fc_audioset.bias"] = first["fc_audioset.bias"] + 3
    torch.save(first, file)
    spec, clip = f"panns:{file}", [0.1 * torch.randn(1, 8_000, generator=torch.Generator().manual_seed(0))]
    before = load_classifier(spec)
    assert load_classifier(spec) is before
    torch.save(second, tmp_path / "new.pth")
    if how == "replaced":
        (tmp_path / "new.pth").replace(file)
    elif how == "by a link":
        file.unlink()
        file.symlink_to(tmp_path / "new.pth")
    elif how == "with old dates":
        with_old_dates(file, lambda path: torch.save(second, path))
    else:
        torch.save(second, file)
    assert (load_classifier(spec)(clip, 8_000) > before(clip, 8_000)).all()
    assert load_classifier(spec) is load_classifier(spec)


def test_panns_without_its_weights_is_a_sentence(tmp_path):
    torch.save({"model": {"other": torch.zeros(2)}}, tmp_path / "other.pth")
    with pytest.raises(TagxaiError, match="does not hold the weights of a CNN14"):
        load_classifier(f"panns:{tmp_path / 'other.pth'}")
    for spec in ("panns", f"panns:{tmp_path / 'absent.pth'}"):
        with pytest.raises(TagxaiError, match=r"takes a file of weights, such as from https://zenodo\.org"):
            load_classifier(spec)
