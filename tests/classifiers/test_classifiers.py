"""Classifiers as callables: shapes, rates, channels, batches; real code with random weights; a sentence without."""

import math
import os
import sys

import pytest
import torch
from changed_weights import without_tensor

from tagxai.classifiers import Classifier, load_classifier, resampled
from tagxai.classifiers.clap import Clap
from tagxai.classifiers.detector import Detector
from tagxai.classifiers.passt import Passt
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


# -- PaSST -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_passt(monkeypatch):
    """hear21passt's own front end, wrapper and network; the network narrow and with one layer, at random."""
    passt = pytest.importorskip("hear21passt.models.passt")

    def small(arch, pretrained):
        assert arch == "passt_s_swa_p16_128_ap476"
        torch.manual_seed(0)
        sizes = {"embed_dim": 16, "depth": 1, "num_heads": 2, "stride": 10, "img_size": (128, 998)}
        net = passt.PaSST(distilled=True, **sizes)
        torch.nn.init.normal_(net.head_dist.weight)  # as made, all clips are told apart by less than rounding
        torch.nn.init.normal_(net.head[1].weight)
        return passt.fix_embedding_layer(net)

    monkeypatch.setattr("hear21passt.base.get_model_passt", small)
    return small


def test_passt_gives_a_distribution_over_527_classes_or_527_probabilities(small_passt, capsys):
    clips = [0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    soft, each = Passt.load(), Passt.load(exclusive=False)
    found, yes = soft(clips, 16_000), each(clips, 16_000)
    assert found.shape == yes.shape == (2, 527) == (2, len(soft.labels))
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    alone = torch.cat([soft([clip], 16_000) for clip in clips])
    torch.testing.assert_close(alone, found, atol=1e-5, rtol=1e-3)
    assert not torch.allclose(found[0], found[1], atol=1e-6)
    assert capsys.readouterr().out == ""
    logits = soft.model.get_scene_embeddings(resampled(torch.cat(clips), 16_000, 32_000))
    torch.testing.assert_close(logits.softmax(-1), found, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(logits.sigmoid(), yes, atol=1e-5, rtol=1e-3)
    assert not any(weight.requires_grad for weight in soft.model.parameters())


def test_passt_hears_32_khz(small_passt):
    model = Passt.load()
    clip = 0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    assert model.sample_rate == 32_000
    torch.testing.assert_close(model([clip], 16_000), model([resampled(clip, 16_000, 32_000)], 32_000))


def test_passt_reads_its_weights_from_a_file_and_refuses_others(small_passt, tmp_path):
    model = Passt.load()
    with torch.no_grad():
        model.model.net.head[1].bias += torch.arange(527) / 100
    torch.save(model.model.net.state_dict(), tmp_path / "passt.pt")
    clip = [0.1 * torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0))]
    again = load_classifier(f"passt:{tmp_path / 'passt.pt'}")
    torch.testing.assert_close(again(clip, 32_000), model(clip, 32_000))
    torch.save({"other": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(TagxaiError, match="does not hold the weights of PaSST"):
        load_classifier(f"passt:{tmp_path / 'other.pt'}")
    with pytest.raises(TagxaiError, match="expected a file"):
        load_classifier(f"passt:{tmp_path / 'absent.pt'}")


def test_passt_that_is_not_installed_or_cannot_be_downloaded_is_a_sentence(monkeypatch):
    pytest.importorskip("hear21passt")

    def offline(**options):
        raise OSError("no route to host")

    monkeypatch.setattr("hear21passt.base.get_model_passt", offline)
    with pytest.raises(TagxaiError, match=r"cannot be downloaded \(no route to host\); give a local file"):
        Passt.load()
    monkeypatch.setitem(sys.modules, "hear21passt.base", None)
    with pytest.raises(TagxaiError, match=r"needs hear21passt .*pip install 'tagxai\[passt\]'"):
        Passt.load()


# -- PANNs -----------------------------------------------------------------------------------------------------------


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


# -- CLAP ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clap():
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    from tagxai.testing.checkpoints import small_tokenizer

    class Processor:
        feature_extractor = ClapFeatureExtractor(
            max_length_s=1, feature_size=32, truncation="rand_trunc", fft_window_size=512
        )
        tokenizer = small_tokenizer()

    text = {"vocab_size": 96, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"intermediate_size": 16, "pad_token_id": 0}
    audio = {"spec_size": 64, "num_mel_bins": 32, "patch_embeds_hidden_size": 8, "depths": [1, 1]}
    audio |= {"num_attention_heads": [2, 2], "hidden_size": 16, "window_size": 4, "enable_fusion": False}
    torch.manual_seed(0)
    config = ClapConfig(text_config=text, audio_config=audio, projection_dim=8)
    return Clap(ClapModel(config), Processor(), labels=("a dog", "rain", "a bell"))


def test_clap_is_a_distribution_over_its_labels_by_cosines(clap):
    clips = [0.1 * torch.randn(1, 48_000, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    found = clap(clips, 48_000)
    assert found.shape == (2, 3)
    scale = clap.model.logit_scale_a.exp()
    for row, clip in zip(found, clips, strict=True):
        cosines = torch.stack([clap.similarity(clip, [f"the sound of {label}"])[0] for label in clap.labels])
        torch.testing.assert_close(row, (scale * cosines).softmax(0), atol=1e-4, rtol=0)


def test_clap_that_cannot_be_had_is_a_sentence(tmp_path):
    with pytest.raises(TagxaiError, match="give a local folder as 'clap:FOLDER'"):
        load_classifier(f"clap:{tmp_path}")


def test_clap_with_a_weight_too_few_is_refused(clap, tmp_path):
    clap.model.save_pretrained(tmp_path)
    without_tensor("model.safetensors", "logit_scale_a")(tmp_path)
    with pytest.raises(TagxaiError, match="lacks 'logit_scale_a', so its weights do not fit"):
        load_classifier(f"clap:{tmp_path}")
