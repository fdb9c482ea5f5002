"""Clusters of frames by deep embedded subspace clustering (EDESC; Cai et al., CVPR 2022, section 3).

An autoencoder embeds the hidden states; each cluster is a subspace of the embedding, spanned by a few unit columns. How
much of an embedding lies in a subspace is its soft assignment; assignments are sharpened (their squares, scaled by the
size of each cluster), and autoencoder and subspaces are trained towards that, as columns of one subspace stay of unit
length, and those of different subspaces orthogonal. Starts from k-means, with each subspace its cluster's main axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, Int, torch
from tagxai.methods.amortised.network import embed, memberships


@dataclass(frozen=True)
class Clustering:
    """How frames are clustered."""

    clusters: int
    width: int = 24
    """Dimensions of the embedding."""
    dimensions: int = 4
    """Dimensions of each subspace."""
    units: int = 64
    steps: int = 300
    """Steps of the autoencoder alone, and again of all together."""
    rows: int = 512
    """Positions in a step."""
    learning_rate: float = 2e-3
    sharpen: float = 0.1
    """The weight of assignments in the loss, beside reconstruction's of 1."""
    apart: float = 0.1
    """The weight of unit columns and of orthogonal subspaces."""
    seed: int = 0


def cluster(
    states: Sequence[Float[torch.Tensor, "_frames dim"]], how: Clustering, on_progress: OnProgress | None = None
) -> dict[str, torch.Tensor]:
    """The tensors that assign a frame to its cluster. Raises TagxaiError for more clusters than frames."""
    hidden = torch.cat(list(states)).float()
    if not 2 <= how.clusters <= len(hidden):
        raise TagxaiError(f"clusters takes a number from 2 to that of all frames, {len(hidden)}; not {how.clusters}")
    random = torch.Generator().manual_seed(how.seed)
    sizes = {"E": (how.units, hidden.shape[1]), "F": (how.width, how.units)}
    sizes |= {"G": (how.units, how.width), "H": (hidden.shape[1], how.units)}
    weights = {name: torch.randn(size, generator=random) / size[1] ** 0.5 for name, size in sizes.items()}
    weights |= {name.lower(): torch.zeros(len(weights[name])) for name in sizes}
    weights |= {"hidden_mean": hidden.mean(0), "hidden_scale": hidden.std(0) + 1e-6}
    learned = [name for name in weights if not name.startswith("hidden")]
    for stage in range(2):
        for name in learned:
            weights[name] = weights[name].detach().requires_grad_()
        optimiser = torch.optim.Adam([weights[name] for name in learned], how.learning_rate)
        for step in range(how.steps):
            rows = hidden[torch.randint(len(hidden), (min(how.rows, len(hidden)),), generator=random)]
            optimiser.zero_grad()
            loss(weights, rows, how).backward()
            optimiser.step()
            if on_progress is not None:
                on_progress(Progress(stage * how.steps + step + 1, 2 * how.steps, "clusters"))
        if not stage:
            with torch.no_grad():
                weights["bases"] = first_bases(embed(weights, hidden), how, random)
            learned.append("bases")
    kept = {name: tensor.detach() for name, tensor in weights.items() if name not in ("G", "g", "H", "h")}
    return {**kept, "bases": kept["bases"].contiguous()}


def loss(weights: dict[str, torch.Tensor], rows: Float[torch.Tensor, "rows dim"], how: Clustering) -> torch.Tensor:
    """Reconstruction, and, once there are subspaces, sharper assignments and subspaces that stay apart."""
    from torch.nn.functional import gelu, linear

    embedded = embed(weights, rows)
    again = linear(gelu(linear(embedded, weights["G"], weights["g"])), weights["H"], weights["h"])
    reconstruction = (again - (rows - weights["hidden_mean"]) / weights["hidden_scale"]).square().mean()
    if "bases" not in weights:
        return reconstruction
    soft = memberships(weights, embedded)
    sharp = sharpened(soft.detach())
    divergence = (sharp * (sharp / soft).log()).sum(-1).mean()
    return reconstruction + how.sharpen * divergence + how.apart * overlap(weights["bases"])


def sharpened(soft: Float[torch.Tensor, "rows clusters"]) -> Float[torch.Tensor, "rows clusters"]:
    """Assignments that are surer of themselves, and do not let one cluster take everything."""
    squares = soft.square() / soft.sum(0)
    return squares / squares.sum(-1, keepdim=True)


def overlap(bases: Float[torch.Tensor, "clusters width dimensions"]) -> torch.Tensor:
    """How far columns are from unit length, and subspaces from being orthogonal to one another."""
    clusters, _, dimensions = bases.shape
    columns = bases.movedim(0, 1).flatten(1)
    products = columns.T @ columns
    of = torch.arange(clusters, device=bases.device).repeat_interleave(dimensions)
    lengths = (products.diagonal() - 1).square().sum()
    return lengths + products[of[:, None] != of[None]].square().sum()


def first_bases(
    embedded: Float[torch.Tensor, "frames width"], how: Clustering, random: torch.Generator
) -> Float[torch.Tensor, "clusters width dimensions"]:
    """The main axes of each cluster of k-means."""
    of = k_means(embedded, how.clusters, random)
    bases = []
    for number in range(how.clusters):
        mine = embedded[of == number]
        axes = torch.linalg.svd(mine, full_matrices=True).Vh  # rows; also where a cluster has few frames
        bases.append(axes[: how.dimensions].T)
    return torch.stack(bases)


def k_means(
    points: Float[torch.Tensor, "points width"], clusters: int, random: torch.Generator, rounds: int = 30
) -> Int[torch.Tensor, " points"]:
    """Lloyd's algorithm from points that lie far from one another (k-means++). No cluster is empty."""
    chosen = [int(torch.randint(len(points), (1,), generator=random))]
    for _ in range(clusters - 1):
        away = torch.cdist(points, points[chosen]).amin(1).square() + 1e-12
        chosen.append(int(torch.multinomial(away, 1, generator=random)))
    centres = points[chosen]
    for _ in range(rounds):
        distances = torch.cdist(points, centres)
        of = distances.argmin(1)
        for number in range(clusters):
            if not (of == number).any():  # it takes the point that is farthest from its centre
                of[distances.gather(1, of[:, None])[:, 0].argmax()] = number
        centres = torch.stack([points[of == number].mean(0) for number in range(clusters)])
    return of
