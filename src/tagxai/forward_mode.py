"""Exact token-level derivatives of every code at once, by forward-mode differentiation.

A prompt has few tokens and a clip has hundreds of codes. Reverse mode needs a pass for each output; forward mode needs
one for each input, and all tokens fit into one batch: row i moves token i alone.
"""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float

from tagxai.base import Generator
from tagxai.lazy import torch
from tagxai.types import Branch, Conditioning, Generation


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
    import warnings

    from torch.autograd import forward_ad
    from torch.nn.attention import SDPBackend, sdpa_kernel

    embeddings = conditioning.embeddings
    tokens = embeddings.shape[1]
    rows = conditioning.expand(tokens)
    own = torch.eye(tokens, dtype=embeddings.dtype, device=embeddings.device)[..., None] * embeddings
    # only the plain kernel of attention knows its forward-mode derivative
    with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch warns about its own use of torch.jit
        moving = forward_ad.make_dual((scale * rows.embeddings).contiguous(), own.contiguous())
        log_prob = generator.forward(generation, replace(rows, embeddings=moving), branch=branch).log_prob
        derivative = forward_ad.unpack_dual(log_prob).tangent
    return derivative.detach().permute(1, 2, 0)
