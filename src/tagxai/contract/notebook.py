"""What a notebook asks of a clip; a sentence where it asks for what has another name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tagxai.errors import TagxaiError
from tagxai.lazy import torch


class Advising:
    """A class whose missing attributes name what to write instead."""

    _ADVICE: ClassVar[Mapping[str, str]] = {}

    def __getattr__(self, name: str) -> Any:
        advice = type(self)._ADVICE.get(name)
        found = f"{type(self).__name__} has no attribute {name!r}"
        raise AttributeError(f"{found}: {advice}" if advice else found, name=name, obj=self)


class AskedForSound(Advising):
    """A clip that can be heard."""

    _ADVICE: ClassVar[Mapping[str, str]] = {
        "audio": "its sound is waveform[channels, samples], at sample_rate Hz",
        "save": "explain it and save the explanation, which holds the clip; or write waveform to a file of your own",
        "explain": "write tagxai.explain(clip)",
        "words": "a clip has tokens; an explanation, tagxai.explain(clip), has words()",
    }

    waveform: torch.Tensor
    sample_rate: int

    def play(self) -> Any:
        """A player for a notebook's cell. Raises TagxaiError where IPython is not installed."""
        try:
            from IPython.display import Audio
        except ImportError:
            raise TagxaiError("a player needs IPython, which comes with Jupyter: pip install ipython") from None
        return Audio(self.waveform.detach().cpu().float().numpy(), rate=self.sample_rate)
