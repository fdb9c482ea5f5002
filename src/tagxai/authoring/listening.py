"""The check of a plugin's classifier: what it says of two short sounds."""

from __future__ import annotations

from tagxai.classifiers import Classifier
from tagxai.errors import TagxaiError
from tagxai.lazy import torch

RATE = 16_000
"""Hz of the sounds; a classifier of another rate needs torchaudio."""


def check_classifier(classifier: Classifier) -> str:
    """Raises TagxaiError unless it gives finite probabilities of its labels, the same for the same sound."""
    time = torch.arange(RATE) / RATE
    sounds = [torch.sin(2 * torch.pi * pitch * time)[None] for pitch in (220.0, 1760.0)]
    first, again = (classifier(sounds, RATE) for _ in range(2))
    wanted = (len(sounds), len(classifier.labels))
    if tuple(first.shape) != wanted:
        raise TagxaiError(
            f"it gives {list(first.shape)} for {wanted[0]} clips of {wanted[1]} labels; expected {wanted}"
        )
    if not (torch.isfinite(first).all() and first.min() >= 0 and first.max() <= 1):
        raise TagxaiError(f"it gives values from {first.min():g} to {first.max():g}; expected probabilities")
    if classifier.exclusive and (first.sum(1) - 1).abs().max() > 1e-3:
        raise TagxaiError(f"its probabilities add up to {first.sum(1).max():g}, although labels are exclusive")
    if not torch.equal(first, again):
        raise TagxaiError("it gives other probabilities for the same sound")
    return f"{wanted[1]} labels, probabilities of two sounds"
