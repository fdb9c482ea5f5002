"""What metrics share that sample clips under an explanation's mask and ask a classifier how these sound."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.metric import Metric
from tagxai.contract.values import Generation
from tagxai.errors import NotApplicableError, TagxaiError
from tagxai.lazy import Float, torch
from tagxai.metrics.families.sampled_clips import Samples, Seeds, Variant, classifier_for, sampled, sampled_together


def top_share(mask: Float[torch.Tensor, "positions tokens"], share: float) -> Float[torch.Tensor, "positions tokens"]:
    """A mask of the best tokens of each step whose mean is `share` at every step, whatever mask it is made from.

    The token at the border is kept in part, and equal tokens share the rest equally.

    >>> import torch
    >>> top_share(torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.3, 0.3]]), 0.5).tolist()
    [[1.0, 0.0, 0.5], [0.5, 0.5, 0.5]]
    """
    mine, other = mask[:, :, None], mask[:, None, :]
    better, equal = (other > mine).sum(-1), (other == mine).sum(-1)
    return ((share * mask.shape[1] - better) / equal).clamp(0, 1)


@dataclass(frozen=True)
class RegenerationMetric(Metric):
    """A metric of clips that are sampled under an explanation's mask M (factual) or 1 - M (counterfactual)."""

    family: ClassVar[str] = "faithfulness by regeneration"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention"})
    expense: ClassVar[str] = "`repeats` clips (shared by metrics of one kind of mask), as many for the noise floor"
    factual: ClassVar[bool]

    mask: Literal["own", "matched"] = "matched"
    """The method's own mask, or one of its best tokens at each step, of the same size for all methods."""
    size: float = 0.5
    """The share of tokens in a matched mask."""
    seeds: Seeds = "original"
    """Whether the first new clip has the `original`'s seed, and thus its noise, or the `next`."""
    per: Literal["frame", "clip"] = "frame"
    """Whether clips are compared frame by frame, where the classifier can, or by what is heard anywhere in them."""
    unit: Literal["absolute", "noise_floor"] = "absolute"
    """The number itself, or (of other seeds than the original's) divided by that of another sample of the prompt."""
    repeats: int = 1
    classifier: str | None = None
    """By name; None takes the embedded detector for `tiny`, else `passt`."""

    def __post_init__(self) -> None:
        self.require("size", 0 <= self.size <= 1, "from 0 to 1")
        self.require("repeats", self.repeats >= 1, "at least 1")
        if self.unit == "noise_floor" and self.seeds == "original":
            raise TagxaiError(
                f"metric {self.name!r} with unit=noise_floor needs seeds=next: under the original's own seed a clip of "
                "the whole prompt is the original, so it has no noise"
            )

    @abstractmethod
    def compare(
        self,
        original: Float[torch.Tensor, "frames labels"],
        new: Float[torch.Tensor, "repeats frames labels"],
        exclusive: bool,
    ) -> float:
        """Whole clips are clips of one frame."""

    def _samples(self, generation: Generation, attribution: Attribution) -> Samples:
        mask = attribution.to_mask()
        if self.mask == "matched":
            mask = top_share(mask, self.size)
        variants = [Variant(mask if self.factual else 1 - mask)]
        if self.unit == "noise_floor":
            variants.append(Variant())
        return Samples(generation, self.classifier, self.repeats, variants, self.seeds, self.per == "frame")

    def prepare(self, generator: Generator, attributions: Sequence[Attribution]) -> None:
        self.check_supported(generator)
        sampled_together(generator, [self._samples(each.generation, each) for each in attributions])

    def score(self, generator: Generator, generation: Generation, attribution: Attribution) -> float:
        self.check_supported(generator)
        _, judge = classifier_for(generator, self.classifier)
        frames = self.per == "frame"
        original = (judge.over_time if frames else judge)([generation.waveform], generation.sample_rate)[0]
        clips = sampled(generator, self._samples(generation, attribution))
        found, *floors = (
            self.compare(original, new, judge.exclusive)
            if frames
            else self.compare(original[None], new[:, None], judge.exclusive)
            for new in clips
        )
        if self.unit == "absolute":
            return found
        (floor,) = floors
        if floor < 1e-9:
            raise NotApplicableError(
                "two samples of this prompt sound the same to the classifier: there is no noise floor"
            )
        return found / floor
