"""The texts that ACE-Step's text encoder reads: a caller's words inside of a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tagxai.errors import TagxaiError
from tagxai.generators.parts import trim

_BEFORE_CAPTION = "# Caption\n"
_BEFORE_SECONDS = "- duration: "


@dataclass(frozen=True)
class Written:
    """A whole text, with the characters of the caller's words, and of the figures that say the clip's length."""

    text: str
    words: range
    figures: range


def caption_text(caption: str, seconds: float) -> Written:
    """What diffusers writes around a caption; it names whole seconds."""
    from diffusers.pipelines.ace_step import pipeline_ace_step as own

    metadata = own.AceStepPipeline._build_metadata_string(audio_duration=seconds)
    text = own.SFT_GEN_PROMPT.format(own.DEFAULT_DIT_INSTRUCTION, caption, metadata)
    start = text.index(_BEFORE_CAPTION) + len(_BEFORE_CAPTION)
    figures = text.rindex(_BEFORE_SECONDS) + len(_BEFORE_SECONDS)
    return Written(text, range(start, start + len(caption)), range(figures, text.index(" ", figures)))


def lyrics_text(lyrics: str, language: str) -> Written:
    """What diffusers writes around lyrics."""
    before = f"# Languages\n{language}\n\n# Lyric\n"
    end = len(before) + len(lyrics)
    return Written(f"{before}{lyrics}<|endoftext|>", range(len(before), end), range(end, end))


@dataclass(frozen=True)
class Reading:
    """A text in tokens: those of the template before the words, of the words and the template after them, and of the
    figures, which are somewhere in that template."""

    before: list[int]
    shown: list[int]
    names: list[str]
    spans: list[tuple[int, int]]
    """Characters of the words for each shown token; the end of the words where it is the template's."""
    figures: list[int]
    after: int
    """Shown tokens after the figures."""


def read(tokenizer: Any, written: Written, longest: int) -> Reading:
    """Raises TagxaiError for a text of more than `longest` tokens."""
    encoded = tokenizer(written.text, return_offsets_mapping=True, verbose=False)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    if len(ids) > longest:
        raise TagxaiError(
            f"the text has {len(ids)} tokens, those of the template around it among them; expected at most {longest}"
        )
    first = next((i for i, (_, end) in enumerate(offsets) if end > written.words.start), len(ids))
    figures = _tokens_of(written.figures, offsets)
    shown = [i for i in range(first, len(ids)) if i not in figures]
    own, words = _tokens_of(written.words, offsets), written.words
    spans = []
    for i in shown:
        start, end = offsets[i]
        inside = max(0, start - words.start), min(len(words), end - words.start)
        text = written.text[words.start : words.stop]
        spans.append(trim(text, *inside) if i in own else (len(words), len(words)))
    names = tokenizer.convert_ids_to_tokens([ids[i] for i in shown])
    after = len([i for i in shown if i > max(figures)]) if figures else 0
    return Reading(ids[:first], [ids[i] for i in shown], names, spans, [ids[i] for i in sorted(figures)], after)


def _tokens_of(place: range, offsets: Sequence[tuple[int, int]]) -> set[int]:
    return {i for i, (start, end) in enumerate(offsets) if start < place.stop and end > place.start and len(place)}
