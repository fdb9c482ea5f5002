"""Interventions: does a clip lose an event when the prompt loses the words for it? And by which path do words act?

The grammar's truth is what a prompt *means*. Whether the trained model uses the words has to be tested on the model: a
word is causal truth only where an intervention on it confirms it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from torch import Tensor

from tagxai.contract.generator import Generator
from tagxai.contract.values import Generation
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.language.phrases import PHRASES
from tagxai.laboratory.language.plain import PLAIN
from tagxai.laboratory.language.prompt import Mention, Prompt
from tagxai.laboratory.sounds.waves import Rng
from tagxai.lazy import Float, torch
from tagxai.scoring import score, without
from tagxai.text.words import Unit

Synthesiser = Callable[[Sequence[str], int], Float[Tensor, "batch samples"]]
"""Texts and a seed to clips."""


@dataclass(frozen=True)
class Intervention:
    """The detector's probability of an event in its interval: asked for, its words replaced by another event's, its
    words removed. `confirmed`: heard when asked for and in neither other case."""

    prompt: str
    event: str
    words: str
    replaced_by: str
    asked: float
    replaced: float
    removed: float

    @property
    def confirmed(self) -> bool:
        return self.asked > 0.5 > max(self.replaced, self.removed)

    def to_dict(self) -> dict[str, object]:
        return {**asdict(self), "confirmed": self.confirmed}


def replaced(prompt: Prompt, mention: Mention, rng: Rng) -> tuple[str, str]:
    """The prompt with the mention's content words replaced by another event's of the same kind: `(text, event)`."""
    content = prompt.text[mention.start_char : mention.end_char].lower()
    known = (*PHRASES[mention.event], *PLAIN.get(mention.event, ()))
    mine = next(phrase for phrase in known if phrase.content == content)
    choices = [
        (event, phrase.content)
        for event, phrases in PHRASES.items()
        if event not in {m.event for m in prompt.mentions}
        for phrase in phrases
        if (phrase.kind, phrase.article) == (mine.kind, mine.article)
    ] or [(event, phrases[-1].content) for event, phrases in PHRASES.items() if event not in prompt.events]
    event, words = choices[int(rng.integers(len(choices)))]
    return prompt.text[: mention.start_char] + words + prompt.text[mention.end_char :], event


def removed(prompt: Prompt, mention: Mention) -> str:
    """The prompt without the mention's content words."""
    unit = Unit(mention.event, mention.start_char, mention.end_char, ())
    return without(prompt.text, [unit], [False])


def intervene(
    detector: EventDetector, synthesise: Synthesiser, asked: Sequence[Prompt], rng: Rng, seed: int = 0
) -> list[Intervention]:
    """The intervention table: one row per event to be heard, three clips each."""
    rows: list[tuple[Prompt, Mention, str, str, str]] = []
    for prompt in asked:
        for mention in prompt.present:
            text, other = replaced(prompt, mention, rng)
            rows.append((prompt, mention, text, other, removed(prompt, mention)))
    texts = [text for prompt, _, replacing, _, less in rows for text in (prompt.text, replacing, less)]
    waveform = synthesise(texts, seed).unflatten(0, (len(rows), 3))
    table = []
    for (prompt, mention, _, other, _), clips in zip(rows, waveform, strict=True):
        heard = detector.strength(clips, mention.start_s, mention.end_s)[:, detector.events.index(mention.event)]
        words = prompt.text[mention.start_char : mention.end_char]
        table.append(Intervention(prompt.text, mention.event, words, other, *(round(float(p), 4) for p in heard)))
    return table


@dataclass(frozen=True)
class WordEffect:
    """How much log-probability of a clip's own codes, in an event's interval, hangs on the event's words (nats).

    `total`: their replacement by another event's before the text is encoded. `direct`: their tokens blocked in every
    cross-attention after encoding, the other tokens sharing their weight.
    """

    total: float
    direct: float


@torch.no_grad()
def word_effect(generator: Generator, generation: Generation, prompt: Prompt, mention: Mention, rng: Rng) -> WordEffect:
    """The total and the direct effect of a mention's content words."""
    frames = generation.frame_range(mention.start_s, min(mention.end_s, generation.duration))
    start, end = mention.start_char, mention.end_char
    own = tuple(i for i, span in enumerate(generation.spans) if span[0] < end and start < span[1])
    unit = Unit(prompt.text[start:end], start, end, own)
    kept = torch.tensor([[True], [False]])
    with_words, blocked = (
        score(generator, generation, [unit], kept, operator="attention", frames=frames).value().tolist()
    )
    instead = generator.forward(generation, generator.encode_prompt([replaced(prompt, mention, rng)[0]])).log_prob
    return WordEffect(with_words - float(instead[0, :, frames.start : frames.stop].sum()), with_words - blocked)


def direct_share(effects: Sequence[WordEffect]) -> float:
    """The sum of the direct effects divided by the sum of the total effects."""
    return sum(effect.direct for effect in effects) / sum(effect.total for effect in effects)
