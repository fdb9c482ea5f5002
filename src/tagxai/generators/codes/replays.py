"""Several clips run again in one teacher-forced pass, each under gates of its own.

Clips of one length share a pass. Their rows are sorted into parts of one prompt length, whose attention to the text
runs apart, as in `tagxai.generators.codes.stream`: no row sees padding, and every row comes out as it would alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import TYPE_CHECKING

from tagxai.contract.attention import Part, Position, at, edit_attention, installed_edits
from tagxai.contract.request import Replay
from tagxai.generators.codes.batches import is_exact
from tagxai.generators.codes.rows import passes_agree
from tagxai.generators.quantised import is_quantised
from tagxai.lazy import Float, torch
from tagxai.probing.edits import Gate

if TYPE_CHECKING:
    from tagxai.generators.codes.delay_pattern import DelayPatternGenerator


def replay_in_batches(
    model: DelayPatternGenerator, replays: Sequence[Replay]
) -> list[Float[torch.Tensor, "_batch _positions dim"]]:
    """The hidden states of each."""
    found: dict[int, torch.Tensor] = {}
    for group in _groups(model, replays):
        if len(group) > 1:
            states = _in_one_pass(model, [replays[i] for i in group])
        else:
            states = [_alone(model, replays[i]) for i in group]
        found |= dict(zip(group, states, strict=True))
    return [found[i] for i in range(len(replays))]


def _groups(model: DelayPatternGenerator, replays: Sequence[Replay]) -> Iterator[list[int]]:
    """The numbers of those that share a pass, by the lengths of their prompts."""
    alike: dict[object, list[int]] = {}
    for i in sorted(range(len(replays)), key=lambda i: _tokens(replays[i])):
        kind = replays[i].generation.timeline, None if model.mixes_prompts else _tokens(replays[i])
        alike.setdefault(kind, []).append(i)
    matrices = _matrices(model)
    for group in alike.values():
        rows = sum(len(replays[i].gate) * replays[i].generation.positions for i in group)
        apart = [i for i in group if not _may_share(replays[i], matrices, rows)]
        yield from ([i] for i in apart)
        if together := [i for i in group if i not in apart]:
            yield together


def _matrices(model: DelayPatternGenerator) -> Sequence[torch.Tensor] | None:
    """Those whose products must not depend on the number of rows; None where nothing may share a pass."""
    if installed_edits():  # the caller's own edits see one clip at a time
        return None
    if not is_exact(model):  # nobody promises anything
        return ()
    parts = [part for held in model.modules().values() for part in held.modules()]
    if any(is_quantised(part) for part in parts):  # by the range of the whole batch
        return None
    tables = torch.nn.Embedding
    own = (weight for part in parts if not isinstance(part, tables) for weight in part.parameters(recurse=False))
    return [weight for weight in own if weight.ndim == 2]


def _may_share(replay: Replay, matrices: Sequence[torch.Tensor] | None, rows: int) -> bool:
    """Whether a clip's states, and its gradients, are in a pass of so many rows what they are in one of its own."""
    if matrices is None:
        return False
    # torch multiplies an expanded prompt one row of the batch at a time, and a clip's positions all at once
    return all(
        passes_agree(matrices, few, rows) for few in (_tokens(replay), len(replay.gate) * replay.generation.positions)
    )


def _alone(model: DelayPatternGenerator, replay: Replay) -> torch.Tensor:
    with edit_attention(model.cross_attention(), replay.edit):
        return model.hidden_states(replay.generation, replay.conditioning)


def _in_one_pass(model: DelayPatternGenerator, group: Sequence[Replay]) -> Sequence[torch.Tensor]:
    rows, longest = [len(replay.gate) for replay in group], max(map(_tokens, group))
    columns = torch.cat(
        [
            model._columns(model._codes(replay.generation)).expand(number, -1, -1)
            for replay, number in zip(group, rows, strict=True)
        ]
    )
    embeddings = torch.cat(
        [
            torch.nn.functional.pad(replay.conditioning.embeddings, (0, 0, 0, longest - _tokens(replay)))
            for replay in group
        ]
    )
    parts: list[Part] = []
    for tokens, alike in groupby(group, key=_tokens):
        gates = torch.cat([replay.gate for replay in alike])
        first = parts[-1].rows.stop if parts else 0
        parts.append(Part(slice(first, first + len(gates)), tokens, None, Gate(gates)))
    where = Position(parts=tuple(parts)) if len(parts) > 1 else Position(edit=parts[0].edit)
    with ExitStack() as watched, at(where), model._lower():
        for site in model.cross_attention():
            watched.enter_context(site.watched())
        return model._states(columns, embeddings, None).split(rows)  # each part leaves its padding out


def _tokens(replay: Replay) -> int:
    return replay.conditioning.embeddings.shape[1]
