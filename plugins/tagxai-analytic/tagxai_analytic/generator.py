"""The model: words -> one attention site -> a polynomial per event -> the logit of code 1 over code 0, and a tone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import pi, prod
from typing import Any, ClassVar

from tagxai.contract.attention import AttentionSite, position, run_edits
from tagxai.contract.generator import Capability
from tagxai.contract.request import Request
from tagxai.contract.truth import Level, Truth, Twin
from tagxai.contract.values import Generation
from tagxai.errors import UnknownNameError
from tagxai.generators.codes.delay_pattern import DelayPatternGenerator
from tagxai.lazy import Float, Int, torch
from tagxai_analytic.closed_form import ClosedForm
from tagxai_analytic.vocabulary import CEILING, EVENTS, LINKS, MODIFIERS, VOCABULARY, Link

SPECIAL = ("<pad>", "</s>", "<unk>")


@dataclass(frozen=True)
class AnalyticSite(AttentionSite):
    """The model's only attention module."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Every call runs its edits, so that nothing need be prepared."""
        yield


class AnalyticGenerator(DelayPatternGenerator):
    """A hand-set model with attributions known in closed form, for testing methods (sources: logistic, linear)."""

    name: ClassVar[str] = "analytic"
    offers: ClassVar[frozenset[Capability]] = frozenset({"gradients", "attention", "closes", "causal", "truth"})
    default_method: ClassVar[str | None] = "shapley"  # exact here; methods that look into layers find none
    threads: ClassVar[int | None] = 1
    default_duration: ClassVar[float] = 1.0
    default_guidance_scale: ClassVar[float] = 1.0
    tones: ClassVar[tuple[float, ...]] = (440.0, 660.0)  # Hz, one per codebook, for code 1; whole periods fit a frame

    def __init__(self, link: str = "logistic", *, device: str = "cpu", dtype: str = "float32") -> None:
        if link not in LINKS:
            raise UnknownNameError(f"source of generator {self.name!r}", link, LINKS)
        self.source, self.link = link, link
        self.tokenizer = _tokenizer()
        self.sample_rate, self.frame_rate, self.delays, self.pad = 16_000, 10.0, (0, 1), 2
        self.max_frames, self.max_duration = 100, 10.0
        if link == "linear":
            self.default_temperature = 0.0  # type: ignore[misc]  # code 1 throughout, whose log-probability is linear
        self.site = AnalyticSite("cross", 0, "cross", 2, self)
        self.meanings = torch.zeros(len(SPECIAL) + len(VOCABULARY), len(VOCABULARY))  # one row per text token
        self.meanings[len(SPECIAL) :] = torch.eye(len(VOCABULARY))
        self.meanings = self.meanings.to(device, getattr(torch, dtype))

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> AnalyticGenerator:
        return cls(source or "logistic", device=device, dtype=dtype)

    @property
    def device(self) -> torch.device:
        return self.meanings.device

    @property
    def dtype(self) -> torch.dtype:
        return self.meanings.dtype

    def attention_sites(self) -> Sequence[AttentionSite]:
        return [self.site]

    def truth(self, generation: Generation, level: Level = "word") -> Truth | None:
        # It reads no audio context, so that a word is needed whenever its sound is made.
        return ClosedForm(generation, "delete" if level == "word" else "gate").truth()

    def twin(self, generation: Generation) -> Twin | None:
        """The clip without the words of the last event; None where that event's code is drawn without them, too."""
        truth = self.truth(generation)
        acting = [i for i, row in enumerate(truth.mask.any(1).tolist()) if row] if truth else []
        if truth is None or not acting:
            return None
        said = [generation.prompt[word.start : word.end].lower() for word in truth.words]
        last = next(event for event in EVENTS.values() if any(said[acting[-1]] in term.words for term in event.terms))
        missing = tuple(i for i in acting if any(said[i] in term.words for term in last.terms))
        left = " ".join(word for i, word in enumerate(said) if i not in missing)
        (less,) = self.generate_many([Request.again(generation, prompt=left or "a")])
        clip = replace(generation, record=less.record, waveform=less.waveform)
        found = self.truth(clip)
        if found is None or found.mask[list(missing)].any() or not found.mask.any():
            return None
        return Twin(clip, found, missing)

    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The text encoder: one channel per word; modifiers write theirs into the next token."""
        modifiers = torch.tensor([len(SPECIAL) + VOCABULARY.index(word) for word in MODIFIERS], device=ids.device)
        moves = torch.isin(ids, modifiers)[..., None]
        meanings = self.meanings[ids]
        moved = torch.nn.functional.pad((meanings * moves)[:, :-1], (0, 0, 1, 0))
        return meanings * ~moves + moved

    def _states(self, columns: torch.Tensor, embeddings: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """A one, and the value of each event at each step. The model does not read audio context.

        Head 0 attends to all tokens equally, and its output is scaled by their number: the sum of the embeddings.
        Head 1 looks at one token after another, but its values are zero: attention that explains nothing.
        """
        mask = torch.ones_like(embeddings[..., 0]) if padding is None else padding
        steps = position().first_step + torch.arange(columns.shape[-1], device=self.device)
        places = torch.arange(embeddings.shape[1], device=self.device)
        gaze = -(places - steps[:, None]).abs().to(embeddings)
        logits = torch.stack([torch.zeros_like(gaze), gaze]).masked_fill(~mask.bool()[:, None, None], -torch.inf)
        values = torch.stack([embeddings, torch.zeros_like(embeddings)], 1)
        weights = run_edits(self.site, logits.softmax(-1), logits, values)
        counts = mask.sum(1)[:, None, None] * (weights[:, 0] @ embeddings)
        states = [torch.ones_like(counts[..., 0])]
        for event in EVENTS.values():
            seconds = (steps - self.delays[event.codebook] + 0.5) / self.frame_rate  # of the predicted frame
            states.append(
                sum(
                    term.strength
                    * ((term.start <= seconds) & (seconds < term.end)).to(counts)
                    * prod(counts[..., VOCABULARY.index(word)] for word in term.words)
                    for term in event.terms
                )
            )
        return torch.stack(states, -1)

    @contextmanager
    def _streaming(self, embeddings: torch.Tensor) -> Iterator[Callable[[Any], Any]]:
        yield partial(self._states, embeddings=embeddings, padding=None)

    @property
    def _heads(self) -> Sequence[Callable[[Any], Any]]:
        return [partial(self._logits, codebook) for codebook in range(len(self.delays))]

    def _logits(self, codebook: int, hidden: torch.Tensor) -> torch.Tensor:
        channels = [1 + i for i, event in enumerate(EVENTS.values()) if event.codebook == codebook]
        link: Link = LINKS[self.link]
        logit = link.bias + link.scale * hidden[..., channels].sum(-1)
        if self.link == "linear":
            logit = logit.clamp(max=CEILING)
            return torch.stack([(-logit.expm1()).log(), logit], -1)
        return torch.stack([torch.zeros_like(logit), logit], -1)

    def decode_codes(self, codes: Int[torch.Tensor, "codebooks frames"]) -> Float[torch.Tensor, "channels samples"]:
        """One tone per codebook, in the frames where its code is 1."""
        seconds = torch.arange(round(codes.shape[1] * self.sample_rate / self.frame_rate)) / self.sample_rate
        sounding = codes.cpu().repeat_interleave(round(self.sample_rate / self.frame_rate), dim=1)
        tones = torch.stack([torch.sin(2 * pi * tone * seconds) for tone in self.tones])
        return 0.2 * (sounding * tones).sum(0, keepdim=True)


def _tokenizer() -> Any:
    """A tokenizer with one token per word or punctuation mark, in lower case, and `</s>` at the end."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate((*SPECIAL, *VOCABULARY))}
    tokenizer: Any = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
