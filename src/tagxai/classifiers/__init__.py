"""What a clip sounds like: classifiers as callables, which metrics compare clips by.

classifier = load_classifier("passt")                  # or "detector", "passt_sigmoid", "panns:FILE", "clap:FOLDER"
classifier([waveform], sample_rate)                    # [clips, labels], probabilities of `classifier.labels`
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.lazy import Float, torch
from tagxai.storage import contents


class Classifier(ABC):
    """Clips to probabilities of labels. A subclass sets the attributes and computes probabilities of mono sound."""

    name: ClassVar[str]
    labels: tuple[str, ...]
    sample_rate: int  # Hz, of the model's input
    exclusive: bool
    """Whether the probabilities of all labels add up to 1, or each label is a yes or no by itself."""
    batch_size: int = 16

    @classmethod
    def load(cls, source: str | None = None) -> Classifier:
        """Make it from a file or folder of weights; None takes the default. Raises TagxaiError."""
        return cls()

    @abstractmethod
    def probabilities(self, waveform: Float[torch.Tensor, "clips samples"]) -> Float[torch.Tensor, "clips labels"]:
        """The probabilities for mono clips of one length, at the model's sample rate. Called without gradients."""

    def frame_probabilities(
        self, waveform: Float[torch.Tensor, "clips samples"]
    ) -> Float[torch.Tensor, "clips frames labels"]:
        """The probabilities over time; a classifier of whole clips has one frame."""
        return self.probabilities(waveform)[:, None]

    def __call__(
        self, waveforms: Sequence[Float[torch.Tensor, "channels _"]], sample_rate: int
    ) -> Float[torch.Tensor, "clips labels"]:
        """Channels are averaged, and the rate converted; clips of one length go through the model together."""
        return self._judge(self.probabilities, waveforms, sample_rate)

    def over_time(
        self, waveforms: Sequence[Float[torch.Tensor, "channels _"]], sample_rate: int
    ) -> Float[torch.Tensor, "clips frames labels"]:
        """As a call, for clips of one length, but frame by frame where the classifier can."""
        return self._judge(self.frame_probabilities, waveforms, sample_rate)

    def _judge(self, ask: Any, waveforms: Sequence[torch.Tensor], sample_rate: int) -> torch.Tensor:
        lengths = [waveform.shape[-1] for waveform in waveforms]
        rows: dict[int, torch.Tensor] = {}
        with torch.no_grad():
            for length in dict.fromkeys(lengths):
                mine = [i for i, other in enumerate(lengths) if other == length]
                for start in range(0, len(mine), self.batch_size):
                    part = mine[start : start + self.batch_size]
                    mono = torch.stack([waveforms[i].float().mean(0) for i in part])
                    found = ask(resampled(mono, sample_rate, self.sample_rate)).float().cpu()
                    rows.update(zip(part, found, strict=True))
        return torch.stack([rows[i] for i in range(len(lengths))])


def resampled(waveform: Float[torch.Tensor, "clips samples"], given: int, wanted: int) -> torch.Tensor:
    """The clips at another sample rate, by torchaudio's windowed sinc."""
    if given == wanted:
        return waveform
    try:
        from torchaudio.functional import resample
    except ImportError:
        raise TagxaiError(
            f"a clip of {given} Hz for a classifier of {wanted} Hz needs torchaudio: pip install 'tagxai[passt]'"
        ) from None
    return resample(waveform, given, wanted)


REGISTRY = "tagxai.registering.registry"
"""Imported by name, as it stands above: it has the classifiers of plugins."""

KEPT = 4
"""Classifiers that stay loaded, the latest first."""

NAMES = ("clap", "detector", "panns", "passt", "passt_sigmoid")


def load_classifier(spec: str) -> Classifier:
    """A classifier by name, or by `name:source` where the source is a file or folder of weights: loaded once, and
    again where its files have changed. Raises TagxaiError."""
    source = Path(spec.partition(":")[2])
    return _loaded(spec, contents.state(source) if contents.exists(source) else ())


@lru_cache(maxsize=KEPT)
def _loaded(spec: str, state: contents.State) -> Classifier:
    name, _, source = spec.partition(":")
    if name == "detector":
        from tagxai.classifiers.detector import Detector

        return Detector.load(source or None)
    if name in ("passt", "passt_sigmoid"):
        from tagxai.classifiers.passt import Passt

        return Passt.load(source or None, exclusive=name == "passt")
    if name == "panns":
        from tagxai.classifiers.panns import Panns

        return Panns.load(source or None)
    if name == "clap":
        from tagxai.classifiers.clap import Clap

        return Clap.load(source or None)
    known = import_module(REGISTRY).registry().classifiers
    if name not in known:
        raise UnknownNameError("classifier", name, [*NAMES, *known])
    found: Classifier = known[name].cls.load(source or None)
    return found
