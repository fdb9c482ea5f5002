"""Exact derivatives of every code at once, by forward-mode differentiation.

A prompt has few tokens and a clip has hundreds of codes. Reverse mode needs a pass for each output; forward mode needs
one for each direction of the input, and directions fit into one batch: row i moves along direction i alone.
"""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float

from tagxai.base import Generator
from tagxai.lazy import torch
from tagxai.types import Branch, Conditioning, Generation


def directional_derivatives(
    generator: Generator,
    generation: Generation,
    point: Conditioning,
    along: Float[torch.Tensor, "directions tokens dim"],
    *,
    branch: Branch = "conditional",
) -> Float[torch.Tensor, "codebooks frames directions"]:
    """d log p(code) / d t of the embeddings `point + t * direction` at t = 0, for each of the directions `along`."""
    import warnings

    from torch.autograd import forward_ad
    from torch.nn.attention import SDPBackend, sdpa_kernel

    rows = point.expand(len(along))
    # only the plain kernel of attention knows its forward-mode derivative
    with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch warns about its own use of torch.jit
        moving = forward_ad.make_dual(rows.embeddings.contiguous(), along.contiguous())
        log_prob = generator.forward(generation, replace(rows, embeddings=moving), branch=branch).log_prob
        derivative = forward_ad.unpack_dual(log_prob).tangent
    return derivative.detach().permute(1, 2, 0)


def token_derivatives(
    generator: Generator,
    generation: Generation,
    conditioning: Conditioning,
    scale: float = 1.0,
    *,
    branch: Branch = "conditional",
) -> Float[torch.Tensor, "codebooks frames tokens"]:
    """d log p(code) / d scale of each token's embedding, at `scale` times all embeddings.

    `conditioning` holds one prompt. At scale 1 this is input x gradient, summed over the embedding's dimensions.
    """
    point = replace(conditioning, embeddings=scale * conditioning.embeddings)
    along = one_token_at_a_time(conditioning.embeddings[0])
    return directional_derivatives(generator, generation, point, along, branch=branch)


def one_token_at_a_time(direction: Float[torch.Tensor, "tokens dim"]) -> Float[torch.Tensor, "tokens tokens dim"]:
    """The direction of each token, with the other tokens at rest."""
    return torch.eye(len(direction), dtype=direction.dtype, device=direction.device)[..., None] * direction
