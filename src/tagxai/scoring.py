"""Score once, answer everything: subsets of the prompt -> log-probabilities of the clip's own codes.

A coalition is the set of prompt units (tokens, words or phrases) that is kept. `score` runs all coalitions through
teacher-forced passes and returns one table `log_prob[coalitions, codebooks, frames]`; leave-one-out, Shapley values and
deletion curves are then arithmetic on it, for any interval and any codebook, without another pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from math import comb
from time import perf_counter
from typing import Literal

from jaxtyping import Bool, Float

from tagxai.base import Generator
from tagxai.hooks import AttentionSite, Gate, edit_attention
from tagxai.lazy import torch
from tagxai.memory import MARGIN, Workload, free
from tagxai.types import Branch, Conditioning, Generation, OnProgress, Progress
from tagxai.words import Unit

Operator = Literal["delete", "null", "attention", "gate"]
"""What it means that a unit is not in a coalition.

    delete      its characters are removed before the prompt is tokenised: its total effect, through all other words
    null        its tokens' encoded embeddings become the null condition's (zero)
    attention   its tokens get no cross-attention, and the others share what it had
    gate        its tokens' cross-attention is cut after the softmax, the others keep theirs: its direct effect
"""

Target = Literal["conditional", "guided", "contrast"]
"""Log-probability with the prompt, under classifier-free guidance, or with the prompt minus without it."""


@dataclass(frozen=True)
class ScoreTable:
    """`log_prob[c, q, f]`: the log-probability of the clip's code of codebook q at frame f under `masks[c]`.

    `masks[c, u]` says whether unit u was kept. `seconds` and `rows` (coalitions actually run) are what it cost.
    """

    units: tuple[Unit, ...]
    masks: Bool[torch.Tensor, "coalitions units"]
    log_prob: Float[torch.Tensor, "coalitions codebooks frames"]
    seconds: float
    rows: int

    def value(self, frames: range | None = None) -> Float[torch.Tensor, " coalitions"]:
        """The log-probability of all codes in `frames` (the whole clip by default), for each coalition."""
        chosen = self.log_prob if frames is None else self.log_prob[..., frames.start : frames.stop]
        return chosen.sum((1, 2))


def score(
    generator: Generator,
    generation: Generation,
    units: Sequence[Unit],
    masks: Bool[torch.Tensor, "coalitions units"],
    *,
    operator: Operator = "gate",
    target: Target = "conditional",
    batch_size: int | None = None,
    on_progress: OnProgress | None = None,
) -> ScoreTable:
    """Score every coalition in `masks`. Tokens outside all units (`</s>`, say) are always kept.

    Equal coalitions are run once. Batches are as large as free memory allows, and one that does not fit all the same
    is halved. Results do not depend on the split beyond rounding.
    """
    started = perf_counter()
    distinct, index = torch.unique(masks.cpu(), dim=0, return_inverse=True)
    conditioning = generator.encode_prompt([generation.prompt])
    size = batch_size or _rows_that_fit(generator, generation, conditioning)
    scored: list[torch.Tensor] = []
    done = 0
    with torch.no_grad():
        while done < len(distinct):
            part = distinct[done : done + size]
            try:
                scored.append(_score_batch(generator, generation, conditioning, units, part, operator, target).cpu())
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                size = max(1, size // 2)
                continue
            done += len(part)
            if on_progress is not None:
                on_progress(Progress(done, len(distinct), "scoring"))
        table = torch.cat(scored)
        if target == "contrast":
            table = table - _log_prob(generator, generation, conditioning, "unconditional").cpu()
    return ScoreTable(tuple(units), masks.cpu(), table[index], perf_counter() - started, len(distinct))


def _rows_that_fit(generator: Generator, generation: Generation, conditioning: Conditioning) -> int:
    work = Workload.of(generator, generation.steps, conditioning)
    left = free(conditioning.embeddings.device)
    return work.batch if left is None else max(1, min(work.batch, int(left / MARGIN / work.forward(1))))


def _score_batch(
    generator: Generator,
    generation: Generation,
    conditioning: Conditioning,
    units: Sequence[Unit],
    masks: torch.Tensor,
    operator: Operator,
    target: Target,
) -> torch.Tensor:
    if operator == "delete":
        conditioning = generator.encode_prompt([without(generation.prompt, units, row.tolist()) for row in masks])
        edit: AbstractContextManager[None] = nullcontext()
    else:
        kept = token_masks(masks, units, len(generation.tokens)).to(conditioning.embeddings)
        conditioning = conditioning.expand(len(masks))
        if operator == "null":
            conditioning = replace(conditioning, embeddings=conditioning.embeddings * kept[..., None])
            edit = nullcontext()
        else:
            change = Gate(kept[:, None].expand(-1, generation.steps, -1)) if operator == "gate" else _Renormalised(kept)
            edit = edit_attention(generator.cross_attention(), change)
    with edit:
        return _log_prob(generator, generation, conditioning, "guided" if target == "guided" else "conditional")


def _log_prob(
    generator: Generator, generation: Generation, conditioning: Conditioning, branch: Branch
) -> Float[torch.Tensor, "coalitions codebooks frames"]:
    log_prob = generator.forward(generation, conditioning, branch=branch).log_prob
    assert log_prob is not None
    return log_prob


class _Renormalised:
    """An edit that blocks tokens before the softmax: the weights of the others are scaled to sum to one again."""

    def __init__(self, kept: Float[torch.Tensor, "batch tokens"]) -> None:
        self.kept = kept[:, None, None]

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> torch.Tensor:
        left = weights * self.kept.to(weights)
        return left / left.sum(-1, keepdim=True).clamp(min=torch.finfo(left.dtype).tiny)


def token_masks(
    masks: Bool[torch.Tensor, "coalitions units"], units: Sequence[Unit], tokens: int
) -> Bool[torch.Tensor, "coalitions tokens"]:
    """Masks over units as masks over tokens; a token outside all units is kept."""
    kept = torch.ones(len(masks), tokens, dtype=torch.bool)
    for column, unit in enumerate(units):
        kept[:, list(unit.tokens)] = masks[:, column : column + 1]
    return kept


def without(prompt: str, units: Sequence[Unit], kept: Sequence[bool]) -> str:
    """The prompt with the characters of units that are not kept removed, and the gaps closed."""
    characters = list(prompt)
    for unit, keep in zip(units, kept, strict=True):
        if not keep:
            characters[unit.start : unit.end] = [""] * (unit.end - unit.start)
    return " ".join("".join(characters).split())


def leave_one_out(units: int) -> Bool[torch.Tensor, "coalitions units"]:
    """All units, then all but each one in turn."""
    return torch.cat([torch.ones(1, units, dtype=torch.bool), ~torch.eye(units, dtype=torch.bool)])


def all_subsets(units: int) -> Bool[torch.Tensor, "coalitions units"]:
    """Every subset; row r keeps the units whose bits are set in r."""
    return (torch.arange(2**units)[:, None] >> torch.arange(units)) & 1 == 1


def shapley(table: ScoreTable) -> Float[torch.Tensor, "units codebooks frames"]:
    """Exact Shapley values of every code from a table of all subsets (`all_subsets`); they add up to
    `log_prob[all] - log_prob[none]`. (Shapley 1953; Lundberg & Lee, NeurIPS 2017.)
    """
    n = len(table.units)
    if len(table.masks) != 2**n:
        raise ValueError(f"exact Shapley values of {n} units need {2**n} coalitions, the table has {len(table.masks)}")
    sizes = table.masks.sum(1)
    weights = torch.tensor([1 / (n * comb(n - 1, s)) if s < n else 0.0 for s in range(n + 1)], dtype=torch.float64)
    order = (table.masks.long() << torch.arange(n)).sum(1).argsort()  # row r is subset r, whatever order came in
    log_prob, sizes = table.log_prob[order].double(), sizes[order]
    values = []
    for unit in range(n):
        absent = torch.arange(2**n)[(torch.arange(2**n) >> unit) & 1 == 0]
        gain = log_prob[absent + (1 << unit)] - log_prob[absent]
        values.append(torch.tensordot(weights[sizes[absent]], gain, dims=1))
    return torch.stack(values).to(table.log_prob)
