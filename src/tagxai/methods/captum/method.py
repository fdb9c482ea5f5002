"""What all of captum's algorithms share: one window of time after another, explained by captum from one seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.seeding import seeded
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, torch
from tagxai.methods.captum.names import Algorithm
from tagxai.probing.windows import windows


class WindowFunction(ABC):
    """The function that captum explains: inputs of one prompt to the log-probability of a window's codes."""

    differentiable: ClassVar[bool]
    inputs: torch.Tensor  # the prompt itself, a batch of one

    @abstractmethod
    def options(self, known: tuple[str, ...]) -> dict[str, Any]:
        """What captum is given beside the user's options; `known` are the names that the algorithm takes."""

    @abstractmethod
    def log_prob(self, inputs: torch.Tensor, window: range) -> Float[torch.Tensor, " batch"]:
        """The function itself."""

    @abstractmethod
    def gain_over_baseline(self, window: range) -> float:
        """The log-probability of the prompt less that of the baseline: what complete attributions add up to."""

    @abstractmethod
    def per_token(self, attributions: torch.Tensor) -> Float[torch.Tensor, " tokens"]:
        """captum's attributions of the inputs as one number for each token."""


@dataclass(frozen=True)
class CaptumMethod(Method):
    """The options of every algorithm; those of captum follow in the class made by `captum_method`."""

    algorithm: ClassVar[Algorithm]
    captum_options: ClassVar[tuple[str, ...]]

    resolution: float | None = 0.5
    """Seconds of a window whose log-probability is explained; `none` takes all of the clip as one."""
    start: float | None = None
    """Explain from here, in seconds; scores elsewhere are 0."""
    end: float | None = None
    """Explain up to here, in seconds."""
    seed: int = 0
    """Seed of the algorithm's random draws."""

    def __post_init__(self) -> None:
        self.require("resolution", self.resolution is None or self.resolution > 0, "above 0")
        for key in self.captum_options:
            value, smallest = getattr(self, key), 0 if isinstance(getattr(self, key), float) else 1
            if isinstance(value, int | float) and not isinstance(value, bool):
                self.require(key, value >= smallest, f"at least {smallest}")

    def explain(self, run: Run) -> Scores:
        function = self.window_function(run)
        targets = windows(run.generation, self.resolution, self.start, self.end)
        scores = torch.zeros(1, run.generation.frames, len(run.generation.tokens))
        errors = []
        for done, window in enumerate(targets):
            with torch.enable_grad(), seeded(self.seed):
                attributions = self._ask_captum(function, window)
            outcomes = len(window) * run.generation.streams
            if self.algorithm.adds_up:
                errors.append(abs(attributions.sum().item() - function.gain_over_baseline(window)) / outcomes)
            scores[0, window.start : window.stop] = function.per_token(attributions) / outcomes
            run.report(done + 1, len(targets), self.name)
        diagnostics: dict[str, Any] = {"windows": len(targets)}
        if errors:
            diagnostics |= {"completeness_error_mean": sum(errors) / len(errors), "completeness_error_max": max(errors)}
        return Scores(scores, diagnostics=diagnostics)

    @abstractmethod
    def window_function(self, run: Run) -> WindowFunction: ...

    def _ask_captum(self, function: WindowFunction, window: range) -> torch.Tensor:
        """captum's attributions for one window, in the shape of the function's inputs without the batch."""
        import captum.attr

        options = {key: getattr(self, key) for key in self.captum_options} | function.options(self.captum_options)
        if "sliding_window_shapes" in options:
            options["sliding_window_shapes"] = (options["sliding_window_shapes"],)
        algorithm = getattr(captum.attr, self.algorithm.name)(lambda inputs: function.log_prob(inputs, window))
        try:
            found = algorithm.attribute(function.inputs.clone().requires_grad_(function.differentiable), **options)
        except AssertionError as error:  # captum's way of refusing options
            raise TagxaiError(f"captum cannot work with these options of {self.name!r}: {error}") from None
        return found[0].detach().float().cpu()
