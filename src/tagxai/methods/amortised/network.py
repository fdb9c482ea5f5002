"""What the network of an amortised explainer reads of a clip, and how it predicts scores from that.

A teacher-forced pass gives a hidden state h[t] for each frame (the mean over the positions that predict it), the text
encoder an embedding e[j] for each token, and cross-attention, where the generator shows it, a weight for both at every
layer and head, c[t, j]:

    pair[t, j] = gelu(A h[t]) * (B e[j]) + C log c[t, j]       u[t, j] = gelu(U gelu(pair[t, j]))
    root[t, j] = softmax over j of (V u[t, j])  x  softplus(W u[t, j])        (each with a bias)

A share times an effect, as in `share_x_effect`. `K` smooths roots over frames, and a score is a root squared. With
clusters of frames, each cluster has its own A to W.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tagxai.contract.attention import AttentionSite, edit_attention
from tagxai.contract.run import Run
from tagxai.lazy import Bool, Float, Int, torch

LEARNED = ("A", "a", "B", "b", "U", "u", "V", "W", "w", "K")
"""What every network learns, with a first axis of clusters but for K; one that reads attention also has `C`."""

FLOOR = 1e-4
"""Added to attention's weights before the logarithm."""


class Seen(NamedTuple):
    """What the network reads of a clip."""

    hidden: Float[torch.Tensor, "frames dim"]
    embeddings: Float[torch.Tensor, "tokens text_dim"]
    attention: Float[torch.Tensor, "frames tokens heads"] | None

    def batch(self) -> Batch:
        """A batch of this clip."""
        real = torch.ones(1, len(self.embeddings), dtype=torch.bool, device=self.hidden.device)
        attention = None if self.attention is None else self.attention[None]
        return Batch(self.hidden[None], self.embeddings[None], attention, real)


class Batch(NamedTuple):
    """Several clips of one length; `real` is False on padding."""

    hidden: Float[torch.Tensor, "batch frames dim"]
    embeddings: Float[torch.Tensor, "batch tokens text_dim"]
    attention: Float[torch.Tensor, "batch frames tokens heads"] | None
    real: Bool[torch.Tensor, "batch tokens"]


def look(run: Run, *, attention: bool) -> Seen:
    """One pass over the clip."""
    weights: list[torch.Tensor] = []

    def keep(_: AttentionSite, shown: torch.Tensor) -> None:
        weights.append(shown[0].float())

    timeline = run.generation.timeline
    with edit_attention(run.model.cross_attention() if attention else [], keep):
        hidden = run.hidden_states()[0].float()
    read = torch.cat([each.to(hidden.device) for each in weights]) if weights else None
    return Seen(
        timeline.to_frames(hidden).mean(0),
        run.conditioning.embeddings[0].float(),
        None if read is None else timeline.to_frames(read).mean(1).movedim(0, -1),
    )


def predict(
    weights: Mapping[str, torch.Tensor], batch: Batch, dropout: float = 0.0, random: torch.Generator | None = None
) -> Float[torch.Tensor, "batch frames tokens"]:
    """Roots of scores. `dropout` is of pairs."""
    from torch.nn.functional import conv1d, gelu, linear, softplus

    hidden = (batch.hidden - weights["hidden_mean"]) / weights["hidden_scale"]
    embeddings = (batch.embeddings - weights["embedding_mean"]) / weights["embedding_scale"]
    read = None if batch.attention is None or "C" not in weights else (batch.attention + FLOOR).log()
    clusters = clusters_of(weights, batch.hidden)
    total = torch.zeros(())
    for number in range(len(weights["A"])):
        A, a, B, b, U, u, V, W, w = (weights[name][number] for name in LEARNED[:-1])
        pairs = gelu(linear(hidden, A, a))[:, :, None] * linear(embeddings, B, b)[:, None]
        if read is not None:
            pairs = pairs + linear((read - weights["read_mean"]) / weights["read_scale"], weights["C"][number])
        pairs = gelu(pairs)
        if dropout:
            kept = torch.rand(pairs.shape, generator=random, device=pairs.device) >= dropout
            pairs = pairs * kept / (1 - dropout)
        units = gelu(linear(pairs, U, u))
        share = linear(units, V)[..., 0].masked_fill(~batch.real[:, None], -torch.inf).softmax(-1)
        roots = share * softplus(linear(units, W, w)[..., 0])
        total = roots if clusters is None else total + roots * (clusters == number)[..., None]
    by_token = total.movedim(-1, 1)
    smooth = conv1d(by_token.flatten(0, 1)[:, None], weights["K"][None, None], padding="same")
    return smooth[:, 0].unflatten(0, by_token.shape[:2]).movedim(1, -1)


def read_scores(
    weights: Mapping[str, torch.Tensor], roots: Float[torch.Tensor, "batch frames tokens"]
) -> Float[torch.Tensor, "batch frames tokens"]:
    """Scores in the teacher's unit."""
    return (roots.clamp(min=0) * weights["root_scale"]).square()


def embed(weights: Mapping[str, torch.Tensor], hidden: Float[torch.Tensor, "*shape dim"]) -> torch.Tensor:
    """The encoder of clusters: there, frames lie near the subspace of their cluster."""
    from torch.nn.functional import gelu, linear

    states = (hidden - weights["hidden_mean"]) / weights["hidden_scale"]
    return linear(gelu(linear(states, weights["E"], weights["e"])), weights["F"], weights["f"])


def memberships(
    weights: Mapping[str, torch.Tensor], embedded: Float[torch.Tensor, "*shape width"]
) -> Float[torch.Tensor, "*shape clusters"]:
    """EDESC's soft assignment: how much of an embedding lies in the subspace of each cluster (Cai et al., 2022)."""
    bases = weights["bases"]  # clusters, width, dimensions of a subspace
    inside = torch.einsum("...w,cwd->...cd", embedded, bases).square().sum(-1) + bases.shape[-1]
    return inside / inside.sum(-1, keepdim=True)


def clusters_of(
    weights: Mapping[str, torch.Tensor], hidden: Float[torch.Tensor, "*shape dim"]
) -> Int[torch.Tensor, "*shape"] | None:
    """The cluster of each frame; None for a network without clusters."""
    return memberships(weights, embed(weights, hidden)).argmax(-1) if "bases" in weights else None
