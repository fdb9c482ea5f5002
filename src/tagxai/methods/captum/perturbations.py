"""captum's perturbation algorithms: coalitions of words in, log-probability of a window out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from tagxai.contract.generator import Capability
from tagxai.contract.run import Run
from tagxai.errors import NotApplicableError, TagxaiError
from tagxai.lazy import Float, torch
from tagxai.methods.captum.method import CaptumMethod, WindowFunction
from tagxai.scoring import NEEDS_ATTENTION, Operator, Target, score
from tagxai.text import words
from tagxai.text.words import By

MOST_UNITS = {"captum:ShapleyValues": 6}
"""Units up to which an algorithm ends in good time: exact Shapley values go through all orders of the words."""

FITTED = ("captum:KernelShap", "captum:Lime")
"""Algorithms that fit a coefficient for each unit; of fewer samples, captum's answer is arbitrary, often all zeros."""


@dataclass(frozen=True)
class CaptumPerturbations(CaptumMethod):
    """The options of captum's algorithms that take words away."""

    family: ClassVar[str] = "removal"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention"})
    remedy: ClassVar[str] = "set operator=delete, which needs nothing of the model"
    fallback: ClassVar[Mapping[str, Any]] = {"operator": "delete"}

    def needed(self) -> frozenset[Capability]:
        """Attention for some operators; the others change what the model reads, not the model."""
        return self.needs if self.operator in NEEDS_ATTENTION else frozenset()

    target: Target = "conditional"
    """Whose log-probability: `conditional`, `guided` (under classifier-free guidance) or `contrast`; or `hidden`, how
    similar the hidden states stay."""
    operator: Operator = "value"
    """How a word is taken away: `value`, `gate` or `attention` (from cross-attention), `null` (its embeddings), or
    `delete` (its text). See `tagxai.scoring`."""
    by: By = "word"
    """Whether words, noun phrases or the model's own tokens are taken away."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("by", self.by in get_args(By), f"one of {', '.join(get_args(By))}")

    def window_function(self, run: Run) -> WindowFunction:
        return CoalitionFunction(self, run)


class CoalitionFunction(WindowFunction):
    """The log-probability of a window as a function of the words kept; one score of a coalition serves all windows."""

    differentiable = False

    def __init__(self, method: CaptumPerturbations, run: Run) -> None:
        self.method, self.run, clip = method, run, run.generation
        self.units = words.units(method.by, clip.prompt, clip.spans, clip.tokens)
        most = MOST_UNITS.get(method.name)
        if most is not None and len(self.units) > most:
            raise NotApplicableError(
                f"method {method.name!r} goes through all n! orders: expected at most {most} units, not "
                f"{len(self.units)}; take captum:ShapleyValueSampling"
            )
        if len(self.units) < 2:
            raise NotApplicableError(f"method {method.name!r} compares at least 2 units of a prompt; this one has 1")
        samples, usual = getattr(method, "n_samples", 0), getattr(type(method), "n_samples", 0)
        if method.name in FITTED and samples <= len(self.units) and samples < usual:
            raise TagxaiError(
                f"method {method.name!r} fits a line to its samples: expected n_samples above the {len(self.units)} "
                f"units of this prompt, not {samples}"
            )
        self.inputs = torch.ones(1, len(self.units))
        self._scored: dict[tuple[bool, ...], torch.Tensor] = {}

    def options(self, known: tuple[str, ...]) -> dict[str, Any]:
        return {"baselines": 0}

    def log_prob(self, inputs: torch.Tensor, window: range) -> Float[torch.Tensor, " batch"]:
        coalitions = [tuple(row) for row in (inputs > 0.5).tolist()]
        new = [coalition for coalition in dict.fromkeys(coalitions) if coalition not in self._scored]
        if new:
            table = score(
                self.run.model,
                self.run.generation,
                self.units,
                torch.tensor(new),
                operator=self.method.operator,
                target=self.method.target,
            )
            self._scored |= dict(zip(new, table.log_prob, strict=True))
        return torch.stack([self._scored[kept][:, window.start : window.stop].sum() for kept in coalitions]).float()

    def gain_over_baseline(self, window: range) -> float:
        every, none = self.log_prob(torch.tensor([[1.0], [0.0]]).expand(-1, len(self.units)), window).tolist()
        return every - none

    def per_token(self, attributions: torch.Tensor) -> Float[torch.Tensor, " tokens"]:
        values = torch.zeros(len(self.run.generation.tokens))
        for unit, value in zip(self.units, attributions, strict=True):  # a unit's tokens share its value equally
            values[list(unit.tokens)] = value / len(unit.tokens)
        return values
