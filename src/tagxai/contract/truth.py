"""Ground truth of a clip: which words of its prompt cause which of its frames, for generators that know it.

A generator that offers "truth" answers `generator.truth(generation)`; metrics of localisation compare explanations
with the answer. Truth is about words, explanations are about tokens: `Truth.units` maps one to the other by characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from tagxai.contract.values import Generation
from tagxai.errors import TagxaiError
from tagxai.lazy import Bool, torch
from tagxai.text.words import Unit, owner

Level = Literal["word", "attention", "now"]
"""Where an intervention acts: on words before the text is encoded; on their own tokens in the cross-attention; or on
these in one short window at a time, which asks when the model needs the word, not what the word has made."""
WordKind = Literal["event", "attribute", "count", "negation", "connective", "filler"]
"""What a word does: it names a sound, says how it sounds or how often, takes it away, joins, or does nothing."""


@dataclass(frozen=True)
class TrueWord:
    """The characters [start, end) of the prompt, and what they are there for.

    `causal` says that the word is known to change the clip: an intervention on the model confirmed it. A word that
    should act but does not is of kind "event", say, and not causal. Words with one number in `event` name the same.
    """

    start: int
    end: int
    kind: WordKind
    causal: bool = False
    event: int | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """`mask[word, frame]`: whether the word makes the clip's sound at the frame. Words are in the prompt's order.

    Only causal words may be true somewhere. A causal word that is true nowhere takes sound away, as "without" does, or
    names a sound that this clip lacks (see `Generator.twin`).
    """

    words: tuple[TrueWord, ...]
    mask: Bool[torch.Tensor, "words frames"]
    frame_rate: float

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or len(self.mask) != len(self.words):
            raise ValueError(f"a mask of shape {tuple(self.mask.shape)} for {len(self.words)} words")
        ends = [0, *(word.end for word in self.words)]
        if any(not previous <= word.start < word.end for previous, word in zip(ends, self.words, strict=False)):
            raise ValueError("words that are empty, overlap or are out of order")
        if (self.mask.any(1).cpu() & ~torch.tensor([word.causal for word in self.words], dtype=torch.bool)).any():
            raise ValueError("a word that is not causal is true somewhere")

    @property
    def gaps(self) -> Bool[torch.Tensor, "words frames"]:
        """The silent frames inside each word's own stretch, from its first true frame to its last.

        They are neither true nor false: replaced by another, the word changes them, and without it they stay silent.
        """
        started = self.mask.cummax(1).values
        ends_later = self.mask.flip(1).cummax(1).values.flip(1)
        return started & ends_later & ~self.mask

    def units(self, generation: Generation) -> tuple[Unit, ...]:
        """A unit for each word, with its token positions, and one more for all tokens that belong to no word.

        A token belongs to the word with which it shares most characters; `</s>` shares none. The last unit stands for
        what is left over, as one more word that explains nothing.
        """
        if self.mask.shape[1] != generation.frames:
            raise ValueError(f"truth of {self.mask.shape[1]} frames for a clip of {generation.frames}")
        owners = [owner(span, self.words) for span in generation.spans]
        tokens = [tuple(i for i, mine in enumerate(owners) if mine == word) for word in range(len(self.words))]
        prompt, end = generation.prompt, len(generation.prompt)
        for word, mine in zip(self.words, tokens, strict=True):
            if not mine:
                raise TagxaiError(
                    f"no token belongs to {prompt[word.start : word.end]!r} alone, so no explanation can be about it"
                )
        rest = tuple(i for i, mine in enumerate(owners) if mine is None)
        return (
            *(
                Unit(prompt[word.start : word.end], word.start, word.end, mine)
                for word, mine in zip(self.words, tokens, strict=True)
            ),
            *([Unit("", end, end, rest, special=True)] if rest else []),
        )

    def rows(
        self, kind: WordKind, units: int
    ) -> tuple[Bool[torch.Tensor, "units frames"], Bool[torch.Tensor, " units"]]:
        """The truth about the words of one kind, and which of `units` count.

        Those are the causal words of that kind, and connectives and filler that cause nothing. What causes something
        else is neither right nor wrong, and neither is a word that should act but for which no effect was confirmed.
        A negation keeps a sound out of the whole clip: as the word asked for, it is true in every frame.
        """
        mask = torch.zeros(units, self.mask.shape[1], dtype=torch.bool)
        scored = torch.ones(units, dtype=torch.bool)
        for row, word in enumerate(self.words):
            mine = word.kind == kind
            scored[row] = mine if word.causal else word.kind in ("connective", "filler")
            if mine:
                mask[row] = word.causal if kind == "negation" else self.mask[row]
        return mask, scored

    def cells(
        self, kind: WordKind, units: int
    ) -> tuple[Bool[torch.Tensor, "units frames"], Bool[torch.Tensor, "units frames"]]:
        """As `rows`, but with three values: the `gaps` of words of that kind do not count either."""
        mask, scored = self.rows(kind, units)
        counted = scored[:, None].expand_as(mask).clone()
        for row, word in enumerate(self.words):
            if word.kind == kind and kind != "negation":
                counted[row] &= ~self.gaps[row].to(counted.device)
        return mask, counted


class Twin(NamedTuple):
    """A clip of the same prompt that lacks one of its events, with its truth.

    The words in `missing` (indices of `truth.words`) name the event that is not made: they are causal, because they
    make it in the original, and true nowhere.
    """

    generation: Generation
    truth: Truth
    missing: tuple[int, ...]
