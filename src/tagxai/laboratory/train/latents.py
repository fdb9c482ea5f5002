"""The codec's latents: principal components of each frame's log spectrum, and the residual codebooks fitted to them.

Trained end to end, an autoencoder of this size learns the loudest low sounds first and had not discovered birds,
alarms or rain after 700 steps. Here the latent space is fixed first, by statistics alone, and then decoder and
encoder each learn a plain regression: codes to waveform, waveform to latents. On the frame grid (see `sounds`) a
frame's magnitudes determine a tone, phase included, so nothing but the noise's own randomness is lost.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from tagxai.laboratory import CODEBOOKS, HOP
from tagxai.laboratory.train.residual import fit_residual_codebooks, nearest
from tagxai.lazy import Float, Int

FLOOR = 0.005
"""Amplitude at which the logarithm sets in: fainter lines hardly count; latents show noise's colour, not its grain."""


class LatentSpace(NamedTuple):
    """`latents = (log spectrum - mean) @ basis`, and the codebooks of those latents."""

    mean: Float[Tensor, " bins"]
    basis: Float[Tensor, "bins dim"]
    codebooks: Float[Tensor, "codebooks codes dim"]

    def latents(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames dim"]:
        """The latents a perfect encoder would give."""
        return (log_spectrum(waveform) - self.mean) @ self.basis

    def encode(self, latents: Float[Tensor, "batch frames dim"]) -> Int[Tensor, "batch codebooks frames"]:
        left, codes = latents.flatten(0, 1), []
        for book in self.codebooks:
            codes.append(nearest(left, book))
            left = left - book[codes[-1]]
        return torch.stack(codes, 1).view(*latents.shape[:2], len(codes)).transpose(1, 2)

    def decode(self, codes: Int[Tensor, "batch codebooks frames"]) -> Float[Tensor, "batch frames dim"]:
        return sum(book[codes[:, q]] for q, book in enumerate(self.codebooks))


def log_spectrum(waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames bins"]:
    """Compressed magnitudes of each frame by itself; its bins are 25 Hz apart, just as the sounds' tones are."""
    return (1 + torch.fft.rfft(waveform.unflatten(-1, (-1, HOP))).abs() * (2 / HOP) / FLOOR).log()


def fit(
    waveform: Float[Tensor, "clips samples"], dim: int, codes: int, seed: int = 0
) -> tuple[LatentSpace, list[float]]:
    """The latent space of clips, and the share of the latents' energy left over after each codebook."""
    spectra = torch.cat([log_spectrum(part.float()).flatten(0, 1) for part in waveform.split(64)])
    mean = spectra.mean(0)
    generator = torch.Generator().manual_seed(seed)
    sample = spectra[torch.randperm(len(spectra), generator=generator)[:20_000]] - mean
    _, strength, directions = torch.linalg.svd(sample, full_matrices=False)
    # Fine pitch lives in weak directions: lifted a little, they count more for codebooks and decoder.
    scale = strength[:dim] ** -0.25
    scale = scale / (strength[:dim] * scale).pow(2).mean().sqrt() * len(sample) ** 0.5
    basis = directions[:dim].T * scale
    points = (spectra - mean) @ basis
    points = points[torch.randperm(len(points), generator=generator)[:60_000]]
    books, left = fit_residual_codebooks(points, CODEBOOKS, codes, seed=seed)
    return LatentSpace(mean, basis, torch.stack(books)), left
