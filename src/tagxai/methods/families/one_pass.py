"""The base of methods that watch one plain pass of the model, by edits that change nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from tagxai.contract.attention import AttentionSite, edit_attention
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.workload import Workload
from tagxai.lazy import Float, torch


@runtime_checkable
class Observer(Protocol):
    """An edit that only looks, and says at the end what each position has from each token."""

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None: ...

    def relevance(self) -> Float[torch.Tensor, "*levels positions tokens"]: ...


class MeanOverSites:
    """An observer that averages what `look` finds at each site, `[levels, positions, tokens]`."""

    def __init__(self, look: Callable[[AttentionSite, torch.Tensor], torch.Tensor]) -> None:
        self._look, self._total, self._sites = look, torch.zeros(()), 0

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None:
        seen = self._look(site, weights.detach())
        # layers of a sharded model have several devices
        self._total = seen if not self._sites else self._total + seen.to(self._total.device)
        self._sites += 1

    def relevance(self) -> Float[torch.Tensor, "levels positions tokens"]:
        return self._total / self._sites


def mean_over_heads(
    weights: Float[torch.Tensor, "batch heads positions tokens"], levels: int, heads: Sequence[int] | None = None
) -> Float[torch.Tensor, "levels positions tokens"]:
    """The weights of the clip's own row at each noise level, averaged over all heads or some."""
    by_level = weights[0].unflatten(0, (levels, -1))
    return (by_level if heads is None else by_level[:, heads]).mean(1)


@dataclass(frozen=True)
class OnePassMethod(Method):
    """A method makes an `observer`; sites are all cross-attention unless it chooses others."""

    family: ClassVar[str] = "attention"
    needs: ClassVar[frozenset[Capability]] = frozenset({"attention"})
    expense: ClassVar[str] = "one forward pass"

    @abstractmethod
    def observer(self, run: Run, sites: Sequence[AttentionSite]) -> Observer:
        """What watches the pass."""

    def sites(self, generator: Generator) -> Sequence[AttentionSite]:
        """Where it watches."""
        return generator.cross_attention()

    def explain(self, run: Run) -> Scores:
        sites = self.sites(run.model)
        observer = self.observer(run, sites)
        with edit_attention(sites, observer):
            run.hidden_states()
        return self.scores(run, observer)

    def scores(self, run: Run, observer: Observer) -> Scores:
        """What the observer found, read at the position that predicts each outcome."""
        timeline, found = run.generation.timeline, observer.relevance().float().cpu()
        if found.ndim == 3 and len(found) != timeline.levels:  # some levels alone, of which no stream is one
            found = found.mean(0)
            return Scores(timeline.to_frames(found)[:1])
        return Scores(timeline.at_levels(found) if found.ndim == 3 else timeline.to_frames(found))

    def peak_memory(self, work: Workload) -> int:
        return work.forward(1)
