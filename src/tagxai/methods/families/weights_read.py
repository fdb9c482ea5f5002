"""What methods that read attention weights may leave out: noise levels, and tokens that are not words."""

from __future__ import annotations

from dataclasses import dataclass

from tagxai.contract.attention import AttentionSite
from tagxai.contract.method import Method
from tagxai.contract.run import Run
from tagxai.lazy import Float, torch
from tagxai.methods.families.one_pass import MeanOverSites, mean_over_heads
from tagxai.probing.choice import choose


@dataclass(frozen=True)
class WeightMethod(Method):
    """A method that looks at the weights themselves."""

    levels: str | None = None
    """Noise levels of a latent model to look at, such as `0,1` (0 is the noisiest); none means all, each with
    scores of its own."""
    words_only: bool = False
    """Leave out `</s>` and other tokens that are not words, and scale each frame's other weights to sum to one."""

    def mean_weights(self, run: Run, heads: list[int] | None = None) -> MeanOverSites:
        """An observer of the weights at the chosen levels, averaged over heads, or some of them, and sites."""
        chosen = None if self.levels is None else choose("noise level", self.levels, run.generation.timeline.levels)
        is_word = torch.tensor([end > start for start, end in run.generation.spans])

        def look(site: AttentionSite, weights: torch.Tensor) -> Float[torch.Tensor, "levels positions tokens"]:
            seen = mean_over_heads(weights, site.levels, heads)
            return self._words(seen, is_word) if chosen is None else self._words(seen[chosen], is_word)

        return MeanOverSites(look)

    def _words(self, seen: torch.Tensor, is_word: torch.Tensor) -> torch.Tensor:
        if not self.words_only:
            return seen
        words = seen * is_word.to(seen)
        return words / words.sum(-1, keepdim=True).clamp(min=torch.finfo(seen.dtype).tiny)
