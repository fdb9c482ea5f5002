"""PaSST: hear21passt's own code with a small random network, and a sentence where it or its weights are missing."""

import sys

import pytest
import torch

from tagxai.classifiers import load_classifier, resampled
from tagxai.classifiers.passt import Passt
from tagxai.errors import TagxaiError


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
