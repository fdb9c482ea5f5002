"""Model randomisation: an explanation must change when the model forgets (Adebayo et al., NeurIPS 2018, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import MethodMetric
from tagxai.contract.values import Generation
from tagxai.errors import UnsupportedError
from tagxai.metrics.families.randomising import copy_to_randomise, randomise
from tagxai.metrics.families.rank_correlation import explanation_agreement


@dataclass(frozen=True)
class CascadingRandomisation(MethodMetric):
    """Randomisation: likeness to explanations of ever more randomised models, from the heads down (Adebayo 2018)."""

    name: ClassVar[str] = "cascading_randomisation"
    family: ClassVar[str] = "randomisation"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    expense: ClassVar[str] = "a copy of the model, and `stages` explanations"

    stages: int = 3
    """How many times the model is explained on the way from one random part to all of them."""
    seed: int = 0

    def __post_init__(self) -> None:
        self.require("stages", self.stages >= 1, "at least 1")

    def parts(self, generator: Generator) -> list[str]:
        """What is randomised, in order."""
        return list(generator.parameters_by_part())

    def score_method(
        self, generator: Generator, generation: Generation, attribution: Attribution, method: Method
    ) -> float:
        """The mean rank correlation, over tokens x frames, with the explanations of the same clip. Weights are
        shuffled, not redrawn, so their distribution is unchanged."""
        copy, parts = copy_to_randomise(generator), self.parts(generator)
        if not parts:
            raise UnsupportedError(f"metric {self.name!r} finds no such weights in generator {generator.name!r}")
        stages = min(self.stages, len(parts))
        ends = [round(len(parts) * (stage + 1) / stages) for stage in range(stages)]
        found = []
        for stage, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            randomise(copy, parts[start:end], self.seed + stage)
            found.append(explanation_agreement(method.attribute(copy, generation), attribution))
        return sum(found) / len(found)


@dataclass(frozen=True)
class CrossAttentionRandomisation(CascadingRandomisation):
    """Randomisation: likeness to the explanation of a model whose cross-attention is random (Adebayo et al. 2018)."""

    name: ClassVar[str] = "cross_attention_randomisation"
    expense: ClassVar[str] = "a copy of the model, and 1 explanation"

    stages: int = 1

    def parts(self, generator: Generator) -> list[str]:
        return [part for part in generator.parameters_by_part() if part.endswith(".cross")]


@dataclass(frozen=True)
class TextEncoderRandomisation(CascadingRandomisation):
    """Randomisation: likeness to the explanation of a model whose text encoder is random (Adebayo et al. 2018)."""

    name: ClassVar[str] = "text_encoder_randomisation"
    expense: ClassVar[str] = "a copy of the model, and 1 explanation"

    stages: int = 1

    def parts(self, generator: Generator) -> list[str]:
        return [part for part in generator.parameters_by_part() if part == "text_encoder"]
