"""The base of methods that weigh attention by its gradient: one window of the clip after another is the target."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.lazy import Float, torch
from tagxai.probing.attention_gradients import WeightObserver, each_weight_with_gradient
from tagxai.probing.windows import windows


@dataclass(frozen=True)
class GradientAttentionMethod(Method):
    """A method makes an observer of weights and gradients, which adds to the scores of each window's frames."""

    family: ClassVar[str] = "attention x gradients"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention", "gradients"})
    expense: ClassVar[str] = "one forward and one backward pass for each window of `resolution` seconds"

    resolves_streams: ClassVar[bool] = False
    """Whether the streams of a frame have scores of their own."""

    resolution: float | None = 0.5
    """Seconds of audio whose log-probability is one target; each costs a row of a forward and a backward pass. None
    takes the whole clip as one."""

    @abstractmethod
    def observer(
        self,
        run: Run,
        sites: Sequence[AttentionSite],
        targets: Sequence[range],
        scores: Float[torch.Tensor, "streams frames tokens"],
    ) -> WeightObserver:
        """What watches each site, and adds to `scores`."""

    @abstractmethod
    def sites(self, generator: Generator) -> Sequence[AttentionSite]:
        """Where it watches."""

    def explain(self, run: Run) -> Scores:
        sites, targets = self.sites(run.model), windows(run.generation, self.resolution)
        streams = run.generation.streams if self.resolves_streams else 1
        scores = torch.zeros(streams, run.generation.frames, len(run.generation.tokens))
        each_weight_with_gradient(run, sites, targets, self.observer(run, sites, targets, scores))
        return Scores(scores)
