"""The embedded model's event detector as a classifier: which of the laboratory's events are heard in a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagxai.classifiers import Classifier
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, torch

if TYPE_CHECKING:
    from tagxai.laboratory.judging.detector import EventDetector


class Detector(Classifier):
    """The probability that each event is heard anywhere in the clip; several may be heard, or none."""

    exclusive = False

    def __init__(self, model: EventDetector) -> None:
        self.model, self.labels, self.sample_rate = model, tuple(model.events), model.sample_rate

    @classmethod
    def load(cls, source: str | None = None) -> Detector:
        if source is not None:
            raise TagxaiError(f"classifier 'detector' comes with its own weights, and takes no source, not {source!r}")
        from tagxai.laboratory.judging.detector import EventDetector

        with torch.random.fork_rng(devices=[]):  # building a model draws weights before it loads them
            return cls(EventDetector.load())

    def probabilities(self, waveform: Float[torch.Tensor, "clips samples"]) -> Float[torch.Tensor, "clips labels"]:
        return self.model.strength(waveform.to(self.model.window.device))

    def frame_probabilities(
        self, waveform: Float[torch.Tensor, "clips samples"]
    ) -> Float[torch.Tensor, "clips frames labels"]:
        return self.model(waveform.to(self.model.window.device))
