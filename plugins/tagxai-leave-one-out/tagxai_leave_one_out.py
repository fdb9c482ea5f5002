"""Leave one out: how much less likely the audio is without a word (occlusion; Zeiler and Fergus, ECCV 2014)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import ClassVar

from tagxai import Attribution, Generation, Generator, Method, Progress, TagxaiError, hookimpl
from tagxai.lazy import torch  # imported when it is first used: `tagxai list` need not wait for it
from tagxai.text.words import words


@dataclass(frozen=True)
class LeaveOneOut(Method):
    """Leave one out: the log-probability that each code loses without a word (occlusion, Zeiler & Fergus 2014)."""

    name: ClassVar[str] = "leave_one_out"

    batch_size: int = 16
    """Words left out in one pass of the model; it changes no result."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise TagxaiError(f"option 'batch_size' of method {self.name!r} must be at least 1, not {self.batch_size}")

    def attribute(self, generator: Generator, generation: Generation, *, on_progress=None) -> Attribution:
        started = perf_counter()
        units = words(generation.prompt, generation.token_spans, generation.tokens)
        prompt = generator.encode_prompt([generation.prompt])
        scores = torch.zeros(*generation.codes.shape, len(generation.tokens))
        with torch.no_grad():
            plain = generator.forward(generation, prompt).log_prob
            for first in range(0, len(units), self.batch_size):
                batch = units[first : first + self.batch_size]
                embeddings = prompt.embeddings.repeat(len(batch), 1, 1)
                for row, word in enumerate(batch):
                    embeddings[row, list(word.tokens)] = 0  # the null embedding, as of an empty prompt
                conditioning = replace(prompt.expand(len(batch)), embeddings=embeddings)
                drops = plain - generator.forward(generation, conditioning).log_prob
                for word, drop in zip(batch, drops.float().cpu(), strict=True):
                    # The tokens of a word share its drop, so that their sum, which `per_word` shows, is the drop.
                    scores[:, :, list(word.tokens)] = drop[..., None] / len(word.tokens)
                if on_progress is not None:
                    on_progress(Progress(first + len(batch), len(units), "leaving words out"))
        cost = {"seconds": perf_counter() - started, "forward_passes": 1 + len(units)}
        return Attribution(generation, scores, self.name, self.settings(), merge="sum", cost=cost)


@hookimpl
def tagxai_methods() -> list[type[Method]]:
    return [LeaveOneOut]
