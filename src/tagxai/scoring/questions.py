"""Questions beyond "which words": direct or indirect, why this word and not another, why here and not there, and
whether the words matter at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Generator
from tagxai.contract.values import Branch, Generation
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, torch
from tagxai.scoring.games import leave_one_out_values
from tagxai.scoring.table import ScoreTable
from tagxai.text.words import Unit


@dataclass(frozen=True)
class Effects:
    """The loss from taking away each unit: in `total`, through its own tokens (`direct`), and the rest (`indirect`).

    The three are log-probabilities (or whatever the tables hold) of every code.
    """

    units: tuple[Unit, ...]
    direct: Float[torch.Tensor, "units streams frames"]
    total: Float[torch.Tensor, "units streams frames"]

    @property
    def indirect(self) -> Float[torch.Tensor, "units streams frames"]:
        """Through the other tokens, into which the text encoder mixed the unit."""
        return self.total - self.direct


def effects(direct: ScoreTable, total: ScoreTable) -> Effects:
    """Leave-one-out under two operators on the same units: `gate`, `value` or `attention`, where a unit's own tokens
    are cut off from the decoder, against `delete` (or any other).

    Both tables need the coalitions of `leave_one_out`. Special tokens are left out: no text is without its `</s>`.
    """
    if [unit.tokens for unit in direct.units] != [unit.tokens for unit in total.units]:
        raise ValueError("the two tables are about different units")
    if direct.frames != total.frames:
        raise ValueError(f"the two tables are about different frames: {direct.frames} and {total.frames}")
    kept = [i for i, unit in enumerate(direct.units) if not unit.special]
    lost = [leave_one_out_values(table.masks, table.log_prob)[kept] for table in (direct, total)]
    return Effects(tuple(direct.units[i] for i in kept), lost[0], lost[1])


class Contrast(NamedTuple):
    """The clip's own codes under two prompts; `difference` is positive where the prompt's own words fit better."""

    prompt: str
    other: str
    difference: Float[torch.Tensor, "streams frames"]


def replacement_contrast(generator: Generator, generation: Generation, replacements: Mapping[str, str]) -> Contrast:
    """Why this word and not another: log p(code | the prompt) - log p(code | the prompt with words replaced).

    Every occurrence of a word (or of several in a row) is replaced, whatever its case. Raises TagxaiError for a word
    that the prompt does not have.
    """
    return prompt_contrast(generator, generation, replace_words(generation.prompt, replacements))


def prompt_contrast(generator: Generator, generation: Generation, other: str) -> Contrast:
    """Why this prompt and not another: log p(code | the prompt) - log p(code | the other)."""
    with torch.no_grad():
        log_prob = generator.forward(generation, generator.encode_prompt([generation.prompt, other])).log_prob
    return Contrast(generation.prompt, other, (log_prob[0] - log_prob[1]).float().cpu())


def replace_words(prompt: str, replacements: Mapping[str, str]) -> str:
    """`prompt` with whole words replaced, all in one go, so that "a=b b=a" swaps them.

    >>> replace_words("a dog chases a cat", {"dog": "cat", "cat": "dog"})
    'a cat chases a dog'
    """
    if not replacements:
        raise TagxaiError("no word to replace was given, such as dog=cat")
    for word in replacements:
        if not word.strip() or not re.search(_whole(word), prompt, re.IGNORECASE):
            raise TagxaiError(f"the prompt has no word {word!r} to replace; it is {prompt!r}")
    by_length = sorted(replacements, key=len, reverse=True)
    pattern = re.compile("|".join(f"({_whole(word)})" for word in by_length), re.IGNORECASE)
    replaced = pattern.sub(lambda match: replacements[by_length[(match.lastindex or 1) - 1]], prompt)
    if replaced == prompt:
        raise TagxaiError(
            f"with {', '.join(f'{a!r} for {b!r}' for a, b in replacements.items())} the prompt does not change"
        )
    return replaced


def _whole(word: str) -> str:
    return rf"(?<!\w){re.escape(word)}(?!\w)"


def interval_difference(
    values: Float[torch.Tensor, "units streams frames"], frames: range, against: range
) -> Float[torch.Tensor, " units"]:
    """Why here and not there: each unit's mean value of a code in `frames`, less that in `against`.

    Means, since intervals may differ in length. Positive: the unit matters more in `frames`.
    """
    here, there = (values[..., part.start : part.stop].mean((1, 2)) for part in (frames, against))
    return here - there


class PromptAndHistory(NamedTuple):
    """The log-probability of each code in two parts: what the audio before it predicts, and what the prompt adds.

    `history` + `prompt` is the log-probability with the prompt; `history` alone is that of the unconditional branch.
    """

    history: Float[torch.Tensor, "streams frames"]
    prompt: Float[torch.Tensor, "streams frames"]


def prompt_and_history(generator: Generator, generation: Generation) -> PromptAndHistory:
    """How much of each code the words explain at all, beside the audio before it: conditional - unconditional."""
    with torch.no_grad():
        conditional = generator.forward(generation).log_prob
        history = generator.forward(generation, branch="unconditional").log_prob
    return PromptAndHistory(history[0].float().cpu(), (conditional - history)[0].float().cpu())


class WordsAndBeginning(NamedTuple):
    """The log-probability of each generated code of a clip that continues a sound, in three parts; 0 for given ones.

    `past` is what the generated codes before it predict, of themselves; `beginning` and `words` are what hearing the
    given sound and reading the prompt add: the Shapley values of a game of these two. The three sum to the
    log-probability with both.
    """

    past: Float[torch.Tensor, "streams frames"]
    beginning: Float[torch.Tensor, "streams frames"]
    words: Float[torch.Tensor, "streams frames"]


def words_and_beginning(generator: Generator, generation: Generation) -> WordsAndBeginning:
    """How much of each generated code the given sound explains, beside the words.

    Without the sound, the generated frames are a clip of their own; without the words, the branch is unconditional.
    Raises UnsupportedError where the generator has no clip without its beginning.
    """
    alone, prompt = generator.without_beginning(generation), conditioning_of(generator, generation)

    def log_prob(clip: Generation, branch: Branch) -> torch.Tensor:
        with torch.no_grad():
            found = generator.forward(clip, prompt, branch=branch).log_prob[0].float().cpu()
        return torch.nn.functional.pad(found[:, -alone.frames :], (generation.frames - alone.frames, 0))

    both, sound = log_prob(generation, "conditional"), log_prob(generation, "unconditional")
    words, neither = log_prob(alone, "conditional"), log_prob(alone, "unconditional")
    return WordsAndBeginning(
        neither, ((both - words) + (sound - neither)) / 2, ((both - sound) + (words - neither)) / 2
    )
