"""Exact derivatives of every code at once, by forward-mode differentiation.

A prompt has few tokens and a clip has hundreds of codes. Reverse mode needs a pass for each output; forward mode needs
one for each direction of the input. Directions fit into one batch, and the point that they start from is run once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from jaxtyping import Float

from tagxai.contract.cost import count
from tagxai.contract.generator import Generator
from tagxai.contract.values import Branch, Conditioning, Generation
from tagxai.lazy import torch

LogProb: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"


def directional_derivatives(
    generator: Generator,
    generation: Generation,
    point: Conditioning,
    along: Float[torch.Tensor, "directions tokens dim"],
    *,
    branch: Branch = "conditional",
) -> Float[torch.Tensor, "streams frames directions"]:
    """d log p(code) / d t of the embeddings `point + t * direction` at t = 0, for each of the directions `along`."""
    import warnings

    from torch.nn.attention import SDPBackend, sdpa_kernel

    def log_prob(embeddings: torch.Tensor) -> torch.Tensor:
        rows = replace(point.expand(len(embeddings)), embeddings=embeddings)
        return generator.forward(generation, rows, branch=branch).log_prob

    count(forward_mode_passes=len(along))
    # only the plain kernel of attention knows its forward-mode derivative
    with sdpa_kernel(SDPBackend.MATH), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch warns about its own use of torch.jit
        try:
            return _from_one_point(log_prob, point.embeddings, along)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # some operations know no `vmap`: audiocraft's, and those of models over several devices
            return _row_by_row(log_prob, point.embeddings, along)


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
    return derivative.permute(1, 2, 0)


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
    along = one_token_at_a_time(conditioning.embeddings[0])
    return directional_derivatives(generator, generation, point, along, branch=branch)


def one_token_at_a_time(direction: Float[torch.Tensor, "tokens dim"]) -> Float[torch.Tensor, "tokens tokens dim"]:
    """The direction of each token, with the other tokens at rest."""
    return torch.eye(len(direction), dtype=direction.dtype, device=direction.device)[..., None] * direction
