"""Exact derivatives of every code at once, by forward-mode differentiation.

A prompt has few tokens and a clip has hundreds of codes. Reverse mode needs a pass for each output; forward mode needs
one for each direction of the input. Directions fit into one batch, and the point that they start from is run once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cache
from threading import RLock
from typing import Any, TypeAlias

from tagxai.contract.cost import count
from tagxai.contract.generator import Generator
from tagxai.contract.shortage import is_out_of_memory
from tagxai.contract.values import Branch, Conditioning, Generation
from tagxai.contract.workload import QUERIES
from tagxai.errors import UnsupportedError
from tagxai.lazy import Float, torch

LogProb: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"


_one_at_a_time = RLock()
"""torch counts the levels of forward mode for the whole process, so that two threads would disturb each other."""


class NoForwardModeError(UnsupportedError):
    """A model with an operation that torch can differentiate in reverse alone, as those of quantised weights."""


def no_forward_mode(generator: Generator, error: NotImplementedError) -> NoForwardModeError:
    """What to raise when an operation of the generator has raised `error`."""
    return NoForwardModeError(
        f"generator {generator.name!r} cannot be differentiated in forward mode: {str(error).splitlines()[0]}"
    )


def directional_derivatives(
    generator: Generator,
    generation: Generation,
    point: Conditioning,
    along: Float[torch.Tensor, "directions tokens dim"],
    *,
    branch: Branch = "conditional",
) -> Float[torch.Tensor, "streams frames directions"]:
    """d log p(code) / d t of the embeddings `point + t * direction` at t = 0, for each of the directions `along`."""

    def log_prob(embeddings: torch.Tensor) -> torch.Tensor:
        rows = replace(point.expand(len(embeddings)), embeddings=embeddings)
        return generator.forward(generation, rows, branch=branch).log_prob

    count(forward_mode_passes=len(along))
    with differentiating():
        try:
            return _from_one_point(log_prob, point.embeddings, along)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            # some operations know no `vmap`: audiocraft's, and those of models over several devices
        try:
            return _row_by_row(log_prob, point.embeddings, along)
        except NotImplementedError as error:
            raise no_forward_mode(generator, error) from None


def _from_one_point(log_prob: LogProb, point: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    """All directions from a point that is run once."""

    def derivative(direction: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(log_prob, (point,), (direction[None],))[1][0]

    return torch.func.vmap(derivative, out_dims=-1)(along)


def _row_by_row(log_prob: LogProb, point: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    """Row i of a batch moves along direction i; each row is run from the point again."""
    from torch.autograd import forward_ad

    with forward_ad.dual_level():
        moving = forward_ad.make_dual(point.expand(along.shape).contiguous(), along.contiguous())
        derivative = forward_ad.unpack_dual(log_prob(moving)).tangent
    if derivative is None:
        raise NotImplementedError("an operation drops the derivative")
    return derivative.permute(1, 2, 0)


@contextmanager
def differentiating() -> Iterator[None]:
    """Forward mode is this thread's alone inside the block, and attention is made of operations that know it."""
    with _one_at_a_time, torch.no_grad(), _plain_attention():
        _prepare()
        yield


def moving(value: torch.Tensor, tangent: torch.Tensor) -> torch.Tensor:
    """A dual number: `value`, without the tangent that it may have, with this one."""
    return torch.autograd.forward_ad.make_dual(value_of(value).contiguous(), tangent.to(value).contiguous())


def value_of(number: torch.Tensor) -> torch.Tensor:
    return torch.autograd.forward_ad.unpack_dual(number).primal


def tangent_of(number: torch.Tensor) -> torch.Tensor:
    """Zeros where nothing moves."""
    parts = torch.autograd.forward_ad.unpack_dual(number)
    return torch.zeros_like(parts.primal) if parts.tangent is None else parts.tangent


@cache
def _prepare() -> None:
    """Loads torch's own derivatives, which warns, once a process, about torch's own use of `torch.jit`."""
    import warnings

    with warnings.catch_warnings(action="ignore"):
        import torch._decomp.decompositions_for_jvp  # noqa: F401


def _plain_attention() -> AbstractContextManager[Any]:
    """The plain kernel of attention in this thread alone, as only that one knows its forward-mode derivative.

    (`torch.nn.attention.sdpa_kernel` would choose it for every thread.)
    """
    from torch.overrides import TorchFunctionMode

    attention = torch.nn.functional.scaled_dot_product_attention

    class Plain(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
            options = options or {}
            if function is not attention:
                return function(*arguments, **options)
            return _attend(*arguments, **options)

    return Plain()


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    queries, keys = query.shape[-2], key.shape[-2]
    looks_back = attn_mask is None and is_causal and queries == keys
    if attn_mask is None and is_causal:
        attn_mask = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill(~attn_mask, -torch.inf)
    blocks = range(0, queries, QUERIES)
    if attn_mask is None or attn_mask.shape[-2] != queries:  # one row for all queries
        masks = [attn_mask for _ in blocks]
    else:
        masks = [attn_mask[..., first : first + QUERIES, :] for first in blocks]
    # behind the last query, the keys of a causal model are masked: they need not be multiplied
    causal = [looks_back] * len(masks) if looks_back or queries != keys else _look_back(masks)
    parts = []
    for number, mask in enumerate(masks):
        part = slice(number * QUERIES, (number + 1) * QUERIES)
        end = min(keys, part.stop) if causal[number] else keys
        parts.append(
            torch.ops.aten._scaled_dot_product_attention_math(
                *(query[..., part, :], key[..., :end, :], value[..., :end, :]),
                *(None if mask is None else mask[..., :end], dropout_p, False, None),
                scale=scale,
                enable_gqa=enable_gqa,
            )[0]
        )
    return torch.cat(parts, -2)


def _look_back(masks: Sequence[torch.Tensor | None]) -> list[bool]:
    """For the mask of each block of queries, whether it hides every key after the block; the host waits once."""
    if masks[0] is None or masks[0].shape[-1] == 1 or torch._C._functorch.is_batchedtensor(masks[0]):
        return [False] * len(masks)
    hidden = [
        (mask[..., (number + 1) * QUERIES :] <= torch.finfo(mask.dtype).min).all()
        for number, mask in enumerate(masks)
        if mask is not None
    ]
    return torch.stack(hidden).tolist() if len(masks) > 1 else [False]


def token_derivatives(
    generator: Generator,
    generation: Generation,
    conditioning: Conditioning,
    scale: float = 1.0,
    *,
    branch: Branch = "conditional",
) -> Float[torch.Tensor, "streams frames tokens"]:
    """d log p(code) / d scale of each token's embedding, at `scale` times all embeddings.

    `conditioning` holds one prompt. At scale 1 this is input x gradient, summed over the embedding's dimensions.
    """
    point = replace(conditioning, embeddings=scale * conditioning.embeddings)
    along = conditioning.embeddings[0]
    try:
        return directional_derivatives(generator, generation, point, one_token_at_a_time(along), branch=branch)
    except NoForwardModeError:
        return _by_reverse_mode(generator, generation, point, along, branch)


def _by_reverse_mode(
    generator: Generator, generation: Generation, point: Conditioning, along: torch.Tensor, branch: Branch
) -> torch.Tensor:
    """The same by a backward pass for each output."""
    with torch.enable_grad():
        at = point.embeddings.detach().clone().requires_grad_()
        log_prob = generator.forward(generation, replace(point, embeddings=at), branch=branch).log_prob[0]
        count(backward_passes=log_prob.numel())
        rows = [torch.autograd.grad(each, at, retain_graph=True)[0][0] for each in log_prob.flatten()]
    return torch.stack([(row * along).sum(-1) for row in rows]).unflatten(0, log_prob.shape)


def one_token_at_a_time(direction: Float[torch.Tensor, "tokens dim"]) -> Float[torch.Tensor, "tokens tokens dim"]:
    """The direction of each token, with the other tokens at rest."""
    return torch.eye(len(direction), dtype=direction.dtype, device=direction.device)[..., None] * direction
