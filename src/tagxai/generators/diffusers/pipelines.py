"""What generators from pipelines of diffusers share: how they are loaded, and in which precision."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from tagxai.contract.request import Setting
from tagxai.errors import UnsupportedError
from tagxai.generators.diffusers.loading import load_pipeline, to_dtype
from tagxai.generators.latents.model import LatentGenerator
from tagxai.generators.quantised import dtype_of
from tagxai.lazy import torch

NEGATIVE_PROMPT = Setting(
    "negative_prompt", str, "", "What guidance leads away from; the unconditional branch is then this prompt's."
)


class PipelineGenerator(LatentGenerator):
    """A network of diffusers in float32, of whose layers the matrices may be in a lower dtype."""

    pipeline: ClassVar[str]
    """The class of diffusers that it reads."""
    parts: ClassVar[Mapping[str, str]]
    """The pipeline's parts that it needs, with their classes; "" for any."""
    default_source: ClassVar[str]

    @abstractmethod
    def __init__(self, pipe: Any, *, source: str = "") -> None: ...

    @property
    @abstractmethod
    def layers(self) -> torch.nn.Module:
        """The layers of the network that denoises."""

    @classmethod
    def load(cls, source: str | None = None, *, device: str = "cpu", dtype: str = "float32") -> PipelineGenerator:
        """From a folder, or a hub id OWNER/NAME[@REVISION]. Everything but the layers' matrices is in float32.

        Raises TagxaiError for another pipeline, a missing part, and weights that are not in safetensors.
        """
        if dtype == "float64":
            raise UnsupportedError(f"generator {cls.name!r} computes in float32, bfloat16 or float16, not in float64")
        source = source or cls.default_source
        generator = cls(load_pipeline(cls.name, source, cls.pipeline, cls.parts), source=source)
        to_dtype(generator.layers, dtype)
        for part in generator.modules().values():
            part.to(device)
        return generator

    @property
    def device(self) -> torch.device:
        return next(self.layers.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        matrices = (part for part in self.layers.modules() if isinstance(part, torch.nn.Linear))
        return dtype_of(next(matrices, None), self.layers)
