"""CLAP: a small random network against its own cosines, and a sentence where it is missing."""

import pytest
import torch
from changed_weights import without_tensor

from tagxai.classifiers import load_classifier
from tagxai.classifiers.clap import Clap
from tagxai.errors import TagxaiError


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
