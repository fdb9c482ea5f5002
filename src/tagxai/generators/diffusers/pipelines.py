"""What generators from pipelines of diffusers share: loading, negative prompts, and a clip's length as a token."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tagxai.contract.request import Setting
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.diffusers.loading import load_pipeline, to_dtype
from tagxai.generators.latents.model import LatentGenerator
from tagxai.generators.quantised import dtype_of
from tagxai.lazy import Float, torch


class PipelineGenerator(LatentGenerator):
    """A `transformer` of diffusers in float32, of whose layers the matrices may be in a lower dtype.

    After a prompt's tokens come those of `timing`, which say how long the clip is to be, the last of them its end.
    """

    pipeline: ClassVar[str]
    """The class of diffusers that it reads."""
    parts: ClassVar[Mapping[str, str]]
    """The pipeline's parts that it needs, with their classes; "" for any."""
    default_source: ClassVar[str]
    timing: ClassVar[tuple[str, ...]]

    transformer: Any
    longest_prompt: int  # in tokens, without `timing`

    @abstractmethod
    def __init__(self, pipe: Any, *, source: str = "") -> None: ...

    @abstractmethod
    def _timing(self, seconds: float) -> Float[torch.Tensor, "timing dim"]:
        """What the network reads in place of each token of `timing`, for a clip of so many seconds."""

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> PipelineGenerator:
        """From a folder, or a hub id OWNER/NAME[@REVISION]. Everything but the layers' matrices is in float32.

        Raises TagxaiError for another pipeline, a missing part, and weights that are not in safetensors.
        """
        if dtype == "float64":
            raise UnsupportedError(f"generator {cls.name!r} computes in float32, bfloat16 or float16, not in float64")
        source = source or cls.default_source
        generator = cls(load_pipeline(cls.name, source, cls.pipeline, cls.parts), source=source)
        to_dtype(generator.transformer.transformer_blocks, dtype)
        for part in generator.modules().values():
            part.to(device)
        return generator

    @property
    def device(self) -> torch.device:
        return self.transformer.proj_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        layer = self.transformer.transformer_blocks[0]
        matrices = (part for part in layer.modules() if isinstance(part, torch.nn.Linear))
        return dtype_of(next(matrices, None), layer)

    def sampling_settings(self) -> Sequence[Setting]:
        negative = Setting(
            "negative_prompt", str, "", "What guidance leads away from; the unconditional branch is then this prompt's."
        )
        return (*super().sampling_settings(), negative)

    def null(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> Conditioning:
        if not settings.get("negative_prompt"):
            return super().null(conditioning, settings)
        with torch.no_grad():
            return self.encode_prompt([settings["negative_prompt"]]).expand(len(conditioning))

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """With the timing of the longest clip; `_timed` puts in that of a clip."""
        text, count = super().encode_prompt(prompts), len(self.timing)
        longest = text.embeddings.shape[1]
        if longest > self.longest_prompt:
            raise TagxaiError(f"the prompt has {longest} tokens; expected at most {self.longest_prompt}")
        embeddings = torch.nn.functional.pad(text.embeddings, (0, 0, 0, count))
        mask = torch.nn.functional.pad(text.mask, (0, count))
        timing = self._timing(self.max_duration)
        for row, tokens in enumerate(text.tokens):
            own = slice(len(tokens), len(tokens) + count)
            embeddings[row, own], mask[row, own] = timing, True
        ends = [((len(prompt), len(prompt)),) * count for prompt in prompts]
        return Conditioning(
            embeddings,
            mask,
            tuple((*tokens, *self.timing) for tokens in text.tokens),
            tuple((*spans, *end) for spans, end in zip(text.spans, ends, strict=True)),
        )

    def _timed(self, conditioning: Conditioning, seconds: float) -> Float[torch.Tensor, "batch tokens dim"]:
        """The embeddings with the clip's own end in place of the longest clip's, as far as that is still there: a
        method may have scaled it or taken it away."""
        embeddings = conditioning.embeddings
        longest, own = self._timing(self.max_duration)[-1], self._timing(seconds)[-1]
        last = torch.tensor([len(tokens) - 1 for tokens in conditioning.tokens], device=embeddings.device)
        rows = torch.arange(len(conditioning), device=embeddings.device)
        there = (embeddings[rows, last] * longest).sum(-1, keepdim=True) / longest.square().sum()
        place = torch.nn.functional.one_hot(last, embeddings.shape[1])[..., None]
        return embeddings + place * (there * (own - longest))[:, None]
