"""The objectives of the natural text encoder: masked tokens, and what a sentence means as a whole.

Nothing says at which position a meaning has to be: the mean over all positions has to name each event and attribute
together with its stretch of the clip, and every position, articles and `</s>` included, may carry a part of it.
"""

import torch
from torch import Tensor, nn
from transformers import T5EncoderModel

from tagxai.laboratory.train.text_labels import MEANINGS, ROLES, Batch
from tagxai.laboratory.train.text_objectives import masked_tokens
from tagxai.laboratory.train.tokenizer import PAD
from tagxai.lazy import Bool, Float


class Heads(nn.Module):
    """The throw-away head of pre-training: from a sentence's mean state to its meanings in their roles."""

    def __init__(self, width: int):
        super().__init__()
        self.sentence = nn.Sequential(nn.Linear(width, 256), nn.GELU(), nn.Linear(256, len(MEANINGS) * len(ROLES)))


def meant(batch: Batch) -> Bool[Tensor, "batch meanings_in_roles"]:
    """Which meanings a sentence has, each with its stretch of the clip or as denied."""
    content = (batch.meaning >= 0) & (batch.meaning < len(MEANINGS))
    index = (batch.meaning * len(ROLES) + batch.role).masked_fill(~content, 0)
    found = torch.zeros(len(index), len(MEANINGS) * len(ROLES))
    return found.scatter_add_(1, index, content.float()) > 0


def pooled(states: Float[Tensor, "batch tokens width"], real: Bool[Tensor, "batch tokens"]) -> Tensor:
    """The mean state of a sentence's tokens, `[batch width]`."""
    return (states * real[..., None]).sum(1) / real.sum(1, keepdim=True)


def objectives(
    model: T5EncoderModel, heads: Heads, batch: Batch, generator: torch.Generator, progress: float
) -> dict[str, Float[Tensor, ""]]:
    """The losses by name; captions have no labels."""
    del progress
    batch = Batch(*(part[:, : int((batch.tokens != PAD).sum(1).max())] for part in batch))  # most sentences are short
    states, masked, _ = masked_tokens(model, batch, generator)
    real = batch.tokens != PAD
    labelled = (batch.meaning >= 0).any(1)
    guess = heads.sentence(pooled(states, real)[labelled])
    true = meant(batch)[labelled].float()
    loss = nn.functional.binary_cross_entropy_with_logits(guess, true, reduction="none").sum(1).mean()
    return {"masked": masked, "sentence": loss}


@torch.no_grad()
def evaluate(model: T5EncoderModel, heads: Heads, batch: Batch) -> dict[str, float]:
    """Precision and recall of the meanings in their roles, and the share of sentences that are understood entirely."""
    model.eval()
    real = batch.tokens != PAD
    states = model(batch.tokens, attention_mask=real.long()).last_hidden_state
    model.train()
    guess, true = heads.sentence(pooled(states, real)) > 0, meant(batch)
    figures = {
        "precision": true[guess].float().mean(),
        "recall": guess[true].float().mean(),
        "sentences": guess.eq(true).all(1).float().mean(),
    }
    return {name: round(float(value), 3) for name, value in figures.items()}
