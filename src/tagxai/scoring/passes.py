"""From coalitions to scores: the teacher-forced passes, in batches that fit, each coalition once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import perf_counter
from typing import get_args

from tagxai.contract.attention import AttentionSite, edit_attention, scale_values
from tagxai.contract.cost import count
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Generator, check_guided_scores
from tagxai.contract.shortage import is_out_of_memory
from tagxai.contract.values import Branch, Conditioning, Generation, OnProgress, PrefixState, Progress, StepOutput
from tagxai.contract.workload import MARGIN, Workload, free
from tagxai.errors import UnknownNameError
from tagxai.lazy import Bool, Float, torch
from tagxai.scoring import cache
from tagxai.scoring.coalitions import token_masks, without
from tagxai.scoring.table import Operator, Prefix, ScoreTable, Target
from tagxai.text.words import Unit


def score(
    generator: Generator,
    generation: Generation,
    units: Sequence[Unit],
    masks: Bool[torch.Tensor, "coalitions units"],
    *,
    operator: Operator = "value",
    target: Target = "conditional",
    frames: range | None = None,
    prefix: Prefix = "own",
    batch_size: int | None = None,
    on_progress: OnProgress | None = None,
) -> ScoreTable:
    """Score every coalition in `masks`. Tokens outside all units (`</s>`, say) are always kept.

    `frames` limits the table to an interval; the clip after it is then not run. With `prefix="shared"` units are
    missing only from the interval on, and the frames before it are run once.

    Coalitions with the same tokens, or the same text, are run once, and those in the cache (`cached`) are not run.
    Batches are as large as memory allows: one that does not fit is halved. The split changes results only by rounding.
    """
    started = perf_counter()
    for what, given, kind in (("operator", operator, Operator), ("target", target, Target), ("prefix", prefix, Prefix)):
        if given not in get_args(kind):
            raise UnknownNameError(what, str(given), get_args(kind))
    check_guided_scores(generator, target)
    if masks.dtype != torch.bool or masks.ndim != 2 or not len(masks) or masks.shape[1] != len(units):
        raise ValueError(
            f"masks must be true or false for each coalition and each of {len(units)} units, at least one coalition; "
            f"not {masks.dtype} of shape {tuple(masks.shape)}"
        )
    span = range(generation.frames) if frames is None else frames
    if not (0 <= span.start < span.stop <= generation.frames):
        raise ValueError(f"frames {span.start}..{span.stop} do not fit a clip of {generation.frames}")
    masks = masks.cpu()
    with torch.no_grad():
        passes = _Passes(generator, generation, operator, target, span, prefix)
        device = passes.conditioning.embeddings.device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        keys = passes.keys(units, masks)
        scored = _run(passes, list(dict.fromkeys(keys)), batch_size, on_progress)
        table = torch.stack([scored[key] for key in keys])
    return ScoreTable(
        tuple(units),
        masks,
        table,
        perf_counter() - started + passes.seconds_saved,
        passes.rows,
        passes.calls,
        _peak_memory(device),
        span.start,
    )


def _run(
    passes: _Passes, distinct: Sequence[str], batch_size: int | None, on_progress: OnProgress | None
) -> dict[str, Float[torch.Tensor, "streams frames"]]:
    """The row of every key in `distinct`."""
    size = batch_size or passes.rows_that_fit()
    shared = cache.shared_rows(passes.generator, passes.question)
    known = {key: shared[key] for key in distinct if key in shared}
    passes.charge(list(known.values()), size)
    scored = {key: each.row for key, each in known.items()}
    missing = [key for key in distinct if key not in scored]
    store = cache.ScoreCache(passes.content()) if missing and cache.is_active() else None
    if store is not None and (kept := store.read()):
        scored |= {key: kept[cache.name(key)] for key in missing if cache.name(key) in kept}
        missing = [key for key in missing if key not in scored]
    done = 0
    while done < len(missing):
        part, began = missing[done : done + size], perf_counter()
        try:
            rows = dict(zip(part, passes.batch(part).cpu(), strict=True))
        except (MemoryError, RuntimeError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size = max(1, size // 2)
            continue
        scored |= rows
        each = (perf_counter() - began) / len(part)
        shared |= {key: cache.SharedRow(row, each) for key, row in rows.items()}
        done += len(part)
        if store is not None:
            store.write({cache.name(key): row for key, row in rows.items()})
        if on_progress is not None:
            on_progress(Progress(done, len(missing), "scoring"))
    return scored


@dataclass
class _Passes:
    """The passes over one clip under one operator and target, counted.

    A coalition's key is its text under `delete`, else a 0 or 1 for each token.
    """

    generator: Generator
    generation: Generation
    operator: Operator
    target: Target
    span: range
    prefix_kind: Prefix
    rows: int = field(default=0, init=False)
    calls: int = field(default=0, init=False)
    seconds_saved: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.clip = self.generator.until(self.generation, self.span.stop)
        self.conditioning = conditioning_of(self.generator, self.generation)

    def keys(self, units: Sequence[Unit], masks: Bool[torch.Tensor, "coalitions units"]) -> list[str]:
        if self.operator == "delete":
            return [without(self.generation.prompt, units, row) for row in masks.tolist()]
        tokens = token_masks(masks, units, len(self.generation.tokens))
        return ["".join("01"[bit] for bit in row) for row in tokens.tolist()]

    def rows_that_fit(self) -> int:
        """As many as suit the machine, fewer where little memory is free."""
        work = Workload.of(self.generator, self.clip.positions, self.conditioning)
        left = free(self.conditioning.embeddings.device)
        return work.batch if left is None else max(1, min(work.batch, int(left / MARGIN / work.forward(1))))

    def batch(self, keys: Sequence[str]) -> Float[torch.Tensor, "coalitions streams frames"]:
        conditioning, edit = self._edited(keys)
        prefix, unconditional = self.prefix, self.unconditional if self.target == "contrast" else None
        first = 0 if prefix is None else prefix.positions  # what the rows share is run here, outside the edit
        plain = self.plain.hidden[:, first:] if self.target == "hidden" else None
        self.rows, self.calls = self.rows + len(conditioning), self.calls + 1
        with edit:
            if plain is not None and prefix is None:
                hidden = self.generator.hidden_states(self.clip, conditioning)
            elif prefix is None:
                result = self.generator.forward(self.clip, conditioning, branch=self._branch).log_prob
            else:
                output = self.generator.forward_from(prefix, self.clip, conditioning, branch=self._branch)
                hidden, result = output.hidden, output.log_prob
        if plain is not None:
            similarity = torch.cosine_similarity(hidden.float(), plain.float(), dim=-1)
            result = self.clip.timeline.after(first).to_frames(similarity[..., None])[..., 0]
        elif unconditional is not None:
            result = result - unconditional.log_prob[..., first:]
        return result[..., self.span.start - first : self.span.stop - first]

    def charge(self, known: Sequence[cache.SharedRow], size: int) -> None:
        """Count rows that another has run as if they were run here, in batches of `size`."""
        calls, seconds = -(-len(known) // size), sum(each.seconds for each in known)
        self.rows, self.calls, self.seconds_saved = self.rows + len(known), self.calls + calls, seconds
        count(forward_passes=len(known), model_calls=calls, seconds=seconds)

    @property
    def _branch(self) -> Branch:
        return "guided" if self.target == "guided" else "conditional"

    def _edited(self, keys: Sequence[str]) -> tuple[Conditioning, AbstractContextManager[None]]:
        """How a batch becomes the coalitions `keys`: by other conditioning, or by edits of the attention."""
        if self.operator == "delete":
            return self.generator.encode_prompt(list(keys)), nullcontext()
        bits = torch.tensor([[bit == "1" for bit in key] for key in keys])
        kept = bits.to(self.conditioning.embeddings)
        conditioning = self.conditioning.expand(len(keys))
        if self.operator == "null":
            return replace(conditioning, embeddings=conditioning.embeddings * kept[..., None]), nullcontext()
        sites = self.generator.cross_attention()
        if self.operator == "value":
            return conditioning, scale_values(sites, kept)
        return conditioning, edit_attention(sites, _Gated(kept) if self.operator == "gate" else _Renormalised(kept))

    @cached_property
    def prefix(self) -> PrefixState | None:
        """What the passes share: the clip before the interval, and the unconditional branch under guidance."""
        if self.prefix_kind == "own" and (self.target != "guided" or "causal" not in self.generator.offers):
            return None
        positions = self.span.start if self.prefix_kind == "shared" else 0
        shared = (positions > 0) + (self.target == "guided")
        self.rows, self.calls = self.rows + shared, self.calls + shared
        return self.generator.prefix_state(self.clip, self.conditioning, positions, branch=self._branch)

    @cached_property
    def unconditional(self) -> StepOutput:
        self.rows, self.calls = self.rows + 1, self.calls + 1
        return self.generator.forward(self.clip, self.conditioning, branch="unconditional")

    @cached_property
    def plain(self) -> StepOutput:
        """The pass under the whole prompt."""
        self.rows, self.calls = self.rows + 1, self.calls + 1
        return self.generator.forward(self.clip, self.conditioning)

    def content(self) -> dict[str, object]:
        """Everything that a row depends on except its coalition; the scores of the plain pass stand for the weights."""
        scores = {"hidden": cache.digest(self.plain.hidden), "log_prob": cache.digest(self.plain.log_prob)}
        return {"format": 2} | self.question() | scores

    def question(self) -> dict[str, object]:
        """Everything that a row depends on except its coalition and the model."""
        return {
            "prompt": self.generation.prompt,
            "record": {name: cache.digest(tensor) for name, tensor in self.clip.record.items()},
            "timeline": self.clip.timeline.to_json(),
            "frames": [self.span.start, self.span.stop],
            "operator": self.operator,
            "target": self.target,
            "prefix": self.prefix_kind,
            "guidance_scale": self.clip.settings.get("guidance_scale") if self.target == "guided" else None,
            "embeddings": cache.digest(self.conditioning.embeddings),
        }


class _Gated:
    """An edit that cuts tokens after the softmax, at every step; the others keep their weights."""

    def __init__(self, kept: Float[torch.Tensor, "batch tokens"]) -> None:
        self.kept = kept[:, None, None]

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> torch.Tensor:
        return weights * self.kept.to(weights)


class _Renormalised(_Gated):
    """An edit that blocks tokens before the softmax: the weights of the others are scaled to sum to one again."""

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> torch.Tensor:
        left = weights * self.kept.to(weights)
        return left / left.sum(-1, keepdim=True).clamp(min=torch.finfo(left.dtype).tiny)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
