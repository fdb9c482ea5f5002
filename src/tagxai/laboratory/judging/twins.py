"""Twins: clips of one prompt that lack one of its events (the paper's second claim, Kang et al. 2025, as a test).

They are explained by the whole prompt. What explains the clip, and not what the model was asked for, gives the missing
event's words nothing.
"""

from dataclasses import replace

from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.truth import Truth, Twin
from tagxai.contract.values import Generation
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.interventions import removed
from tagxai.laboratory.judging.witness import AUDIBLE, Witness
from tagxai.laboratory.language.parsing import parse
from tagxai.laboratory.language.prompt import Prompt
from tagxai.lazy import torch

CARELESS = {"guidance_scale": 1.0, "temperature": 1.0}
"""Settings under which the embedded model now and then ignores a word."""


@torch.no_grad()
def twin(generator: Generator, generation: Generation, detector: EventDetector, known: Truth) -> Twin | None:
    """The clip of the prompt without its last event; `known` is the original's truth.

    None where the prompt asks for one event only, where the words of the last one, or those of all the others, are not
    confirmed to act, or where the twin does not lack the event.
    """
    prompt = parse(generation.prompt)
    if prompt is None or len(prompt.present) < 2:
        return None
    missing = prompt.mentions.index(prompt.present[-1])
    (less,) = generator.generate_many([Request.again(generation, prompt=removed(prompt, prompt.mentions[missing]))])
    clip = replace(generation, record=less.record, waveform=less.waveform)
    return _lacking(generator, clip, detector, prompt, known, missing)


@torch.no_grad()
def ignoring(
    generator: Generator, generation: Generation, detector: EventDetector, known: Truth, tries: int = 6
) -> Twin | None:
    """A clip of the whole prompt in which the model ignored one event and made the others, by its own chance.

    None where `tries` clips, sampled without guidance, have none.
    """
    prompt = parse(generation.prompt)
    if prompt is None or len(prompt.present) < 2:
        return None
    known_settings = {setting.name for setting in generator.sampling_settings()}
    careless = {name: value for name, value in CARELESS.items() if name in known_settings}
    again = (Request.again(generation, seed=generation.seed + 1 + number) for number in range(tries))
    requests = [replace(request, settings={**request.settings, **careless}) for request in again]
    for clip in generator.generate_many(requests):
        witness = Witness(generator, clip, detector)
        silent = [
            index
            for index, mention in enumerate(prompt.mentions)
            if not mention.absent and witness.frames(prompt.text, mention).sum() <= AUDIBLE
        ]
        if len(silent) == 1:
            return _lacking(generator, clip, detector, prompt, known, silent[0])
    return None


def _lacking(
    generator: Generator, clip: Generation, detector: EventDetector, prompt: Prompt, known: Truth, missing: int
) -> Twin | None:
    """The clip with its truth, if it lacks the mention of that index, and has another that is confirmed to act."""
    words, witness = prompt.words(), Witness(generator, clip, detector)
    heard = [witness.frames(prompt.text, mention) for mention in prompt.mentions]
    acting = [word.kind == "event" and true.causal for word, true in zip(words, known.words, strict=True)]
    mine = tuple(i for i, word in enumerate(words) if acting[i] and word.mention == missing)
    if not mine or heard[missing].sum() > AUDIBLE:
        return None
    mask, true_words = torch.zeros_like(known.mask), list(known.words)
    for i, word in enumerate(words):
        if word.kind != "event" or word.mention is None or word.mention == missing:
            continue
        if acting[i] and heard[word.mention].sum() > AUDIBLE:
            mask[i] = heard[word.mention]
        else:  # not made in this clip either, so that it counts neither way
            true_words[i] = replace(true_words[i], causal=False)
    return Twin(clip, Truth(tuple(true_words), mask, known.frame_rate), mine) if mask.any() else None
