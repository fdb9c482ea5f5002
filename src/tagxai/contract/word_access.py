"""What a notebook asks of an explanation: a word's score by its text, the sound, plain values, the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tagxai.contract.notebook import Advising
from tagxai.contract.showing import drawing
from tagxai.errors import TagxaiError, UnknownNameError
from tagxai.lazy import Float, torch

if TYPE_CHECKING:
    from tagxai.contract.cost import Cost
    from tagxai.contract.values import Generation


class AskedForWords(Advising):
    """An explanation that answers to its words."""

    _ADVICE: ClassVar[Mapping[str, str]] = {
        "play": "write generation.play(), for the clip that it explains",
        "explain": "an explanation is made by tagxai.explain(PROMPT)",
        "measure": "write tagxai.measure(METRIC, explanation)",
        "evaluate": "write tagxai.evaluate(explanation)",
        "compare": "write tagxai.compare(explanation, other)",
        "to_numpy": "write scores.numpy(), or over_time(words()).numpy() for words by frames",
        "prompt": "write generation.prompt",
        "per_frame": "write over_time(words()), a tensor of words by frames",
    }

    generation: Generation
    method: str
    settings: Mapping[str, Any]
    cost: Cost

    @property
    def audio(self) -> Float[torch.Tensor, "channels samples"]:
        """The sound of the clip, at `generation.sample_rate`."""
        return self.generation.waveform

    def __getitem__(self, text: str) -> float:
        """The score of a word, or of a phrase, over the whole clip. Raises TagxaiError for others."""
        explained: Any = self
        scores = [*explained.per_word(), *explained.per_phrase()]
        found = {score.unit: score.score for score in scores if score.text == text}
        if not found:
            raise UnknownNameError("word in this prompt", str(text), {score.text for score in scores})
        if len(found) > 1:
            raise TagxaiError(f"the prompt has {text!r} {len(found)} times; per_word() has the score of each")
        return next(iter(found.values()))

    def to_dict(self) -> dict[str, Any]:
        """The words' scores over the whole clip, what they are of, and how they were made; as JSON can hold it."""
        explained: Any = self
        clip = self.generation
        return {
            "prompt": clip.prompt,
            "generator": clip.generator,
            "seed": clip.seed,
            "duration": clip.duration,
            "method": self.method,
            "settings": dict(self.settings),
            "words": [
                {"text": score.text, "start": score.unit.start, "end": score.unit.end, "score": score.score}
                for score in explained.per_word()
            ],
            "cost": self.cost.to_json(),
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def show(self) -> Path:
        """Open the report in a browser, from a temporary folder, and return its page; `save` keeps an explanation."""
        page: Path = drawing().open_page(self)
        return page
