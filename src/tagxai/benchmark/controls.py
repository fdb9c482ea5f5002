"""The control rows of every benchmark: explanations that are right, wrong or empty by construction."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.values import Generation
from tagxai.contract.workload import Workload
from tagxai.errors import NotApplicableError
from tagxai.lazy import Float, torch

ORIGIN = "control"


@dataclass(frozen=True)
class Control(Method):
    """A mask that asks nothing of the model."""

    expense: ClassVar[str] = "none"

    def explain(self, run: Run) -> Scores:
        return Scores.mask(self.mask(run.model, run.generation))

    @abstractmethod
    def mask(self, generator: Generator, generation: Generation) -> Float[torch.Tensor, "1 frames tokens"]: ...

    def peak_memory(self, work: Workload) -> int:
        return 0


@dataclass(frozen=True)
class RandomMask(Control):
    """Uniform random scores, different for every clip."""

    name: ClassVar[str] = "random"

    def mask(self, generator: Generator, generation: Generation) -> Float[torch.Tensor, "1 frames tokens"]:
        return _uniform(generation)


@dataclass(frozen=True)
class AllOnes(Control):
    """Keeps the whole prompt: what a metric of regeneration then measures is its noise floor."""

    name: ClassVar[str] = "all-ones"

    def mask(self, generator: Generator, generation: Generation) -> Float[torch.Tensor, "1 frames tokens"]:
        return torch.ones_like(_uniform(generation))


@dataclass(frozen=True)
class AllZeros(Control):
    """Removes the whole prompt: the unconditional ceiling."""

    name: ClassVar[str] = "all-zeros"

    def mask(self, generator: Generator, generation: Generation) -> Float[torch.Tensor, "1 frames tokens"]:
        return torch.zeros_like(_uniform(generation))


@dataclass(frozen=True)
class Oracle(Control):
    """The truth itself: 1 for the tokens of a word in the frames that it causes."""

    name: ClassVar[str] = "oracle"
    needs: ClassVar[frozenset[Capability]] = frozenset({"truth"})

    def mask(self, generator: Generator, generation: Generation) -> Float[torch.Tensor, "1 frames tokens"]:
        truth = generator.truth(generation)
        if truth is None:
            raise NotApplicableError(f"nothing is known about what the words of {generation.prompt!r} cause")
        mask = torch.zeros_like(_uniform(generation))
        for unit, row in zip(truth.units(generation), truth.mask.cpu(), strict=False):  # the last unit is no word
            mask[0, :, list(unit.tokens)] = row.float()[:, None]
        return mask


@dataclass(frozen=True)
class DegradedOracle(Oracle):
    """The truth under uniform noise of each cell and of each token: worse than the oracle, better than chance.

    Noise of cells alone vanishes in a mean over the clip, by which many metrics rank words.
    """

    name: ClassVar[str] = "degraded oracle"

    def mask(self, generator: Generator, generation: Generation) -> Float[torch.Tensor, "1 frames tokens"]:
        cells, tokens = _uniform(generation), _uniform(generation, "tokens")[:, :1]
        return (super().mask(generator, generation) + cells + tokens) / 3


CONTROLS: dict[str, type[Control]] = {cls.name: cls for cls in (Oracle, DegradedOracle, RandomMask, AllOnes, AllZeros)}


def _uniform(generation: Generation, purpose: str = "") -> Float[torch.Tensor, "1 frames tokens"]:
    """Uniform noise, drawn for the clip's prompt and seed, and for each purpose by itself."""
    seed = zlib.crc32(f"{generation.seed} {generation.prompt}{purpose}".encode())
    random = torch.Generator().manual_seed(seed)
    return torch.rand(1, generation.frames, len(generation.tokens), generator=random)
