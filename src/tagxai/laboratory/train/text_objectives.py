"""The objectives of the text encoder's pre-training, and their figures on held-out sentences."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import T5EncoderModel

from tagxai.laboratory.train.text_labels import MEANINGS, MENTIONS, ROLES, Batch
from tagxai.laboratory.train.tokenizer import EOS, MASK, PAD
from tagxai.lazy import Bool, Float

ADVERSARY_GROWS = 800 / 2750
"""Share of the steps over which the adversary's weight rises to its full value."""


class Heads(nn.Module):
    """The throw-away heads of pre-training."""

    def __init__(self, width: int):
        super().__init__()
        self.meaning = nn.Linear(width, len(MEANINGS) + 1)
        self.role = nn.Linear(width, len(ROLES))
        self.mention = nn.Linear(width, MENTIONS)
        self.adversary = nn.Sequential(nn.Linear(width, 128), nn.GELU(), nn.Linear(128, len(MEANINGS)))


class Reverse(torch.autograd.Function):
    """Identity whose gradient is reversed and scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * grad, None


def masked_tokens(
    model: T5EncoderModel, batch: Batch, generator: torch.Generator
) -> tuple[Float[Tensor, "batch tokens width"], Float[Tensor, ""], Bool[Tensor, "batch tokens"]]:
    """The states of sentences in which every eighth token is hidden, the loss of guessing these, and which they are."""
    real = batch.tokens != PAD
    hidden = (torch.rand(real.shape, generator=generator) < 0.12) & real & (batch.tokens != EOS)
    states = model(batch.tokens.masked_fill(hidden, MASK), attention_mask=real.long()).last_hidden_state
    logits = states @ model.shared.weight.T * model.config.d_model**-0.5
    wanted = batch.tokens.masked_fill(~hidden, -1)
    return states, nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-1), hidden


def objectives(
    model: T5EncoderModel, heads: Heads, batch: Batch, generator: torch.Generator, progress: float
) -> dict[str, Float[Tensor, ""]]:
    """The losses by name; only tokens that the encoder sees have labels. The adversary counts more as `progress`,
    the share of the steps done, grows."""
    states, masked, hidden = masked_tokens(model, batch, generator)
    reversal = 0.5 * min(1.0, progress / ADVERSARY_GROWS)
    entropy = nn.functional.cross_entropy
    seen = (batch.meaning >= 0) & ~hidden
    heard = {name: getattr(batch, name).masked_fill(~seen, -1) for name in ("meaning", "role", "mention")}
    guess = heads.adversary(Reverse.apply(states, reversal))
    leak = nn.functional.binary_cross_entropy_with_logits(guess, batch.others, reduction="none").mean(-1)
    return {
        "masked": masked,
        **{
            name: entropy(getattr(heads, name)(states).flatten(0, 1), labels.flatten(), ignore_index=-1)
            for name, labels in heard.items()
        },
        "leak": (leak * seen).sum() / seen.sum(),
    }


@torch.no_grad()
def evaluate(model: T5EncoderModel, heads: Heads, batch: Batch) -> dict[str, float]:
    """Accuracy at the words that mean something, and how often the adversary's best guess is another word's meaning."""
    model.eval()
    states = model(batch.tokens, attention_mask=(batch.tokens != PAD).long()).last_hidden_state
    model.train()
    content = (batch.meaning >= 0) & (batch.meaning < len(MEANINGS))
    foreign = batch.others.sum(-1) > 0
    best = heads.adversary(states).argmax(-1)
    figures = {
        name: (getattr(heads, name)(states).argmax(-1) == getattr(batch, name))[content].float().mean()
        for name in ("meaning", "role", "mention")
    }
    figures["leak"] = batch.others.gather(-1, best[..., None])[..., 0][foreign].mean()
    return {name: round(float(value), 3) for name, value in figures.items()}
