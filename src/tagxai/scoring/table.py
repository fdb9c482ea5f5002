"""The table that scoring fills: coalitions of the prompt's units against the codes of one clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tagxai.lazy import Bool, Float, torch
from tagxai.text.words import Unit

Operator = Literal["delete", "null", "attention", "gate", "value"]
"""What happens to a unit that is not in a coalition.

    delete      its characters are removed before the prompt is tokenised: its total effect, through all other words
    null        its tokens' encoded embeddings become the null condition's (zero): keys and values are
    attention   its tokens get no cross-attention, and the others share its weight
    gate        its tokens' cross-attention is cut after the softmax, the others keep theirs: its direct effect
    value       its tokens' value vectors become the null condition's (zero) at every cross-attention: the same as the
                gate, since a unit is gone at every step, but without reading the weights, so attention stays fused
"""

Target = Literal["conditional", "guided", "contrast", "hidden"]
"""Log-probability with the prompt, under classifier-free guidance, or with the prompt minus without it; or how
similar (cosine; 1 is equal) the hidden state that predicts a code is to the one under the whole prompt."""

Prefix = Literal["own", "shared"]
"""The prompt of the frames before the scored ones: each coalition's `own`, or the whole prompt, run once and `shared`
by all, so that a unit acts only from the interval's first step on."""

NEEDS_ATTENTION: tuple[Operator, ...] = ("attention", "gate", "value")


@dataclass(frozen=True)
class ScoreTable:
    """`log_prob[c, q, f]`: the log-probability of the clip's code of codebook q at frame f under `masks[c]`.

    `masks[c, u]` says whether unit u was kept. Under the target `hidden`, `log_prob` holds the cosine at the step that
    predicts each code. Frame 0 of the table is frame `first_frame` of the clip.

    What it cost: `seconds`, `rows` that went through the decoder (those of the unconditional branch too), the model
    `calls` that they took, and `peak_memory` in bytes: on a GPU that of this scoring, else the process's so far.
    """

    units: tuple[Unit, ...]
    masks: Bool[torch.Tensor, "coalitions units"]
    log_prob: Float[torch.Tensor, "coalitions streams frames"]
    seconds: float
    rows: int
    calls: int = 0
    peak_memory: int = 0
    first_frame: int = 0

    @property
    def frames(self) -> range:
        """The frames of the clip that were scored."""
        return range(self.first_frame, self.first_frame + self.log_prob.shape[-1])

    def value(self, frames: range | None = None, codebook: int | None = None) -> Float[torch.Tensor, " coalitions"]:
        """The log-probability of all codes in `frames` (all that were scored), in all codebooks or one."""
        chosen = self.within(frames).log_prob if frames is not None else self.log_prob
        return chosen.sum((1, 2)) if codebook is None else chosen[:, codebook].sum(1)

    def within(self, frames: range) -> ScoreTable:
        """The same table over fewer frames."""
        if frames.start < self.frames.start or frames.stop > self.frames.stop:
            raise ValueError(f"frames {frames.start}..{frames.stop} are not all in a table of {self.frames}")
        at = slice(frames.start - self.first_frame, frames.stop - self.first_frame)
        return replace(self, log_prob=self.log_prob[..., at], first_frame=frames.start)

    def grouped(self, groups: Sequence[Sequence[int]]) -> ScoreTable:
        """The game of `groups` of units: the coalitions that keep or lack each group as a whole.

        A unit that is in no group is always kept.
        """
        members = [list(group) for group in groups]
        alone = [unit for unit in range(len(self.units)) if not any(unit in group for group in members)]
        whole = self.masks[:, alone].all(1)
        for group in members:
            whole &= self.masks[:, group].all(1) | ~self.masks[:, group].any(1)
        if not whole.any():
            raise ValueError("no coalition of this table keeps or lacks each group as a whole")
        masks = torch.stack([self.masks[whole][:, group[0]] for group in members], dim=1)
        units = tuple(_joined([self.units[i] for i in group]) for group in members)
        return replace(self, units=units, masks=masks, log_prob=self.log_prob[whole])


def _joined(units: Sequence[Unit]) -> Unit:
    return Unit(
        " ".join(unit.text for unit in units),
        min(unit.start for unit in units),
        max(unit.end for unit in units),
        tuple(sorted(token for unit in units for token in unit.tokens)),
        function=all(unit.function for unit in units),
        negation=any(unit.negation for unit in units),
        special=all(unit.special for unit in units),
    )
