"""ACE-Step 1.5 through diffusers: a caption and lyrics, each explained by a generator of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tagxai.contract.request import Setting
from tagxai.generators.diffusers.ace_step_model import AceStep
from tagxai.generators.diffusers.ace_step_text import Written, caption_text, lyrics_text
from tagxai.generators.diffusers.remembering import remembered
from tagxai.lazy import Float, torch

_LANGUAGE = Setting("vocal_language", str, "en", "The language of the lyrics, by its code.")


class AceStepGenerator(AceStep):
    """ACE-Step 1.5 through diffusers: the prompt is the caption, and `lyrics` are a setting.

    From a local folder or a hub id (default ACE-Step/acestep-v15-xl-turbo-diffusers).
    """

    name: ClassVar[str] = "ace_step"
    longest: ClassVar[int] = 256
    explained, besides = "caption", "lyrics and timbre"

    def sampling_settings(self) -> Sequence[Setting]:
        lyrics = Setting("lyrics", str, "", "What is sung; the generator 'ace_step_lyrics' explains it.")
        return (*super().sampling_settings(), lyrics, _LANGUAGE)

    def _written(self, words: str, settings: Mapping[str, Any], seconds: float) -> Written:
        return caption_text(words, seconds)

    def _text_states(self, ids: torch.Tensor) -> torch.Tensor:
        return self._caption_states(ids)

    def _others(self, settings: Mapping[str, Any], seconds: float) -> torch.Tensor:
        text = lyrics_text(settings["lyrics"], settings["vocal_language"]).text
        return _encoded(self, text, self._lyrics_states)


class AceStepLyricsGenerator(AceStep):
    """ACE-Step 1.5 with its lyrics explained: the prompt is the lyrics, and `caption` is a setting. Line breaks count.

    With the same caption, lyrics, length and seed, it makes the clip of `ace_step`.
    """

    name: ClassVar[str] = "ace_step_lyrics"
    longest: ClassVar[int] = 2048
    explained, besides = "lyrics", "caption and timbre"

    def sampling_settings(self) -> Sequence[Setting]:
        caption = Setting("caption", str, "a song", "What the clip sounds like; the generator 'ace_step' explains it.")
        return (*super().sampling_settings(), caption, _LANGUAGE)

    def _typed(self, prompt: str) -> tuple[str, Sequence[int]]:
        return prompt, range(len(prompt))

    def _written(self, words: str, settings: Mapping[str, Any], seconds: float) -> Written:
        return lyrics_text(words, settings.get("vocal_language", _LANGUAGE.default))

    def _text_states(self, ids: torch.Tensor) -> torch.Tensor:
        return self._lyrics_states(ids)

    def _others(self, settings: Mapping[str, Any], seconds: float) -> torch.Tensor:
        return _encoded(self, caption_text(settings["caption"], seconds).text, self._caption_states)


def _encoded(model: AceStep, text: str, states: Any) -> Float[torch.Tensor, "1 keys dim"]:
    """The keys of the text that is not explained, and of the timbre."""

    def compute() -> torch.Tensor:
        ids = torch.tensor([model.tokenizer(text)["input_ids"]], device=model.device)
        return torch.cat([states(ids), model._timbre()], 1)

    return remembered(model, text, compute)
