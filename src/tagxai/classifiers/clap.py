"""CLAP: how well a clip fits texts (Wu et al., "Large-Scale Contrastive Language-Audio Pretraining", ICASSP 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tagxai.classifiers import Classifier
from tagxai.contract.whole_weights import read_whole
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, torch

DEFAULT = "laion/clap-htsat-unfused"
LABELS = ("speech", "music", "an animal", "a vehicle", "water", "wind", "a machine", "an alarm", "a bell", "an impact")


class Clap(Classifier):
    """Zero-shot: a softmax over how well the clip fits the sentences "the sound of LABEL"."""

    exclusive = True

    def __init__(self, model: Any, processor: Any, labels: Sequence[str] = LABELS) -> None:
        """Wrap transformers' ClapModel and ClapProcessor; the model is frozen and set to evaluation."""
        self.model, self.processor = model.eval().requires_grad_(False), processor
        self.labels, self.sample_rate = tuple(labels), processor.feature_extractor.sampling_rate
        with torch.no_grad():
            self._texts = self.embed_texts([f"the sound of {label}" for label in labels])

    @classmethod
    def load(cls, source: str | None = None, *, labels: Sequence[str] = LABELS) -> Clap:
        from transformers import ClapModel, ClapProcessor

        name, revision = source or DEFAULT, ""
        if not Path(name).is_dir():
            name, _, revision = name.partition("@")
        pinned: dict[str, Any] = {"revision": revision} if revision else {}
        try:
            model = read_whole(ClapModel, name, **pinned)
            return cls(model, ClapProcessor.from_pretrained(name, **pinned), labels)
        except Exception as error:  # no network, no such folder, not a CLAP
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise TagxaiError(
                f"cannot load CLAP from {source or DEFAULT!r} ({first}); give a local folder as 'clap:FOLDER'"
            ) from None

    def probabilities(self, waveform: Float[torch.Tensor, "clips samples"]) -> Float[torch.Tensor, "clips labels"]:
        scale = self.model.logit_scale_a.exp()
        return (scale * self.embed_clips(waveform) @ self._texts.T).softmax(-1)

    def similarity(
        self, waveform: Float[torch.Tensor, "clips samples"], texts: Sequence[str]
    ) -> Float[torch.Tensor, " clips"]:
        """CLAP score: the cosine of each clip (mono, at the model's rate) and its text."""
        with torch.no_grad():
            return (self.embed_clips(waveform) * self.embed_texts(texts)).sum(-1)

    def embed_clips(self, waveform: Float[torch.Tensor, "clips samples"]) -> Float[torch.Tensor, "clips dim"]:
        clips = [clip.cpu().numpy() for clip in waveform]
        features = self.processor.feature_extractor(clips, sampling_rate=self.sample_rate, return_tensors="pt")
        return _unit(self.model.get_audio_features(**features.to(self.model.device)))

    def embed_texts(self, texts: Sequence[str]) -> Float[torch.Tensor, "texts dim"]:
        tokens = self.processor.tokenizer(list(texts), padding=True, return_tensors="pt").to(self.model.device)
        return _unit(self.model.get_text_features(**tokens))


def _unit(features: Any) -> torch.Tensor:
    """The features at length 1; newer versions of transformers wrap them in an output object."""
    vectors = features if isinstance(features, torch.Tensor) else features.pooler_output
    return torch.nn.functional.normalize(vectors, dim=-1)
