"""Stage `text`: a small T5 encoder, pre-trained on text and then frozen, as AudioGen freezes T5.

Three objectives, all in one batch of sentences:
- masked tokens are predicted (grammar sentences, and captions where given): the encoder knows language a little;
- the content words of an event say, at their own position, which event and role (alone, simultaneous, first, second)
  it is;
- an adversary behind a gradient reversal must not learn, from any position, of events that the position does not
  itself name.

The last one keeps what a word means at that word. An encoder trained without it spreads the events over articles and
`</s>`, and an attribution to "the" would then be right about the model and useless as ground truth.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, T5Config, T5EncoderModel

from tagxai.tiny.grammar import Prompt, prompts
from tagxai.tiny.sounds import EVENTS
from tagxai.tiny.train.common import load, report, save, schedule
from tagxai.tiny.train.tokenizer import EOS, MASK, PAD, captions

ROLES = ("none", "single", "while", "first", "second")
FUNCTION_WORDS = {"a", "an", "the", "of", "on", "is"}
LENGTH = 28


class Batch(NamedTuple):
    """Tokenised sentences; captions name no labelled event (`event` is -1 throughout)."""

    tokens: Int[Tensor, "batch tokens"]
    event: Int[Tensor, "batch tokens"]  # index into EVENTS, len(EVENTS) for other tokens, -1 for padding and captions
    role: Int[Tensor, "batch tokens"]
    others: Float[Tensor, "batch tokens events"]  # events of the sentence that this token does not itself name

    def take(self, index: Tensor) -> "Batch":
        return Batch(*(part[index] for part in self))


class Heads(nn.Module):
    """The throw-away heads of pre-training."""

    def __init__(self, width: int):
        super().__init__()
        self.event = nn.Linear(width, len(EVENTS) + 1)
        self.role = nn.Linear(width, len(ROLES))
        self.adversary = nn.Sequential(nn.Linear(width, 128), nn.GELU(), nn.Linear(128, len(EVENTS)))


class Reverse(torch.autograd.Function):
    """Identity whose gradient is reversed and scaled."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return -ctx.scale * grad, None


def build(vocabulary: int) -> T5EncoderModel:
    """Three layers, 128 wide, relative positions."""
    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=128,
            d_kv=32,
            d_ff=256,
            num_layers=3,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            relative_attention_num_buckets=16,
            relative_attention_max_distance=32,
            dropout_rate=0.05,
            pad_token_id=PAD,
            eos_token_id=EOS,
            is_encoder_decoder=False,
            use_cache=False,
        )
    )


def label(sentences: list[Prompt], tokenizer: PreTrainedTokenizerBase) -> Batch:
    """Tokens and their labels, padded to a common length."""
    shape = (len(sentences), LENGTH)
    tokens, event, role = torch.full(shape, PAD), torch.full(shape, -1), torch.full(shape, -1)
    others = torch.zeros(*shape, len(EVENTS))
    encoded = tokenizer([s.text for s in sentences], return_offsets_mapping=True)
    for row, (sentence, ids, offsets) in enumerate(
        zip(sentences, encoded.input_ids, encoded.offset_mapping, strict=True)
    ):
        count = len(ids)
        tokens[row, :count] = torch.tensor(ids)
        event[row, :count], role[row, :count] = len(EVENTS), 0
        for order, mention in enumerate(sentence.mentions):
            index = EVENTS.index(mention.event)
            others[row, :count, index] = 1
            for position, (start, end) in enumerate(offsets):
                content = sentence.text[start:end].strip(" .") not in FUNCTION_WORDS
                if content and mention.start_char < end and start < mention.end_char:
                    event[row, position] = index
                    others[row, position, index] = 0
                    followed = ROLES.index(("first", "second")[order])
                    role[row, position] = followed if sentence.form == "followed" else ROLES.index(sentence.form)
    return Batch(tokens, event, role, others)


def unlabelled(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> Batch:
    """Captions, cut to the common length."""
    encoded = tokenizer(texts, truncation=True, max_length=LENGTH, padding="max_length", return_tensors="pt").input_ids
    nothing = torch.full_like(encoded, -1)
    return Batch(encoded, nothing, nothing, torch.zeros(*encoded.shape, len(EVENTS)))


def train(
    out: Path,
    tokenizer: PreTrainedTokenizerBase,
    captions_folder: Path | None = None,
    steps: int = 3000,
    seed: int = 0,
    batch: int = 64,
) -> T5EncoderModel:
    """Train or resume the text encoder; checkpoints in `out/text.pt`, the result in `out/text/`."""
    torch.manual_seed(seed)
    say, path = report("text"), out / "text.pt"
    model = build(len(tokenizer))
    heads = Heads(model.config.d_model)
    optimiser = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=1e-3, weight_decay=0.01)
    first = 0
    if state := load(path):
        model.load_state_dict(state["model"])
        heads.load_state_dict(state["heads"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    sentences = label(prompts("train", 12_000, seed), tokenizer)
    texts = captions(captions_folder)
    real = unlabelled(texts, tokenizer) if texts else sentences
    held_out = label(prompts("test", 600, seed), tokenizer)
    generator = torch.Generator().manual_seed(seed + first)
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * schedule(step, steps)
        ours = sentences.take(torch.randint(len(sentences.tokens), (batch,), generator=generator))
        theirs = real.take(torch.randint(len(real.tokens), (batch // 2,), generator=generator))
        joined = Batch(*(torch.cat(pair) for pair in zip(ours, theirs, strict=True)))
        terms = objectives(model, heads, joined, generator, reversal=0.5 * min(1.0, step / 500))
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % 250 == 0:
            save(
                {
                    "model": model.state_dict(),
                    "heads": heads.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step + 1,
                },
                path,
            )
            say(
                step + 1,
                {name: round(float(value.detach()), 3) for name, value in terms.items()},
                evaluate(model, heads, held_out),
            )
    model.eval().save_pretrained(out / "text")
    return model


def objectives(
    model: T5EncoderModel, heads: Heads, batch: Batch, generator: torch.Generator, reversal: float
) -> dict[str, Float[Tensor, ""]]:
    """The three losses; every eighth token is hidden from the encoder and labels are asked of visible tokens only."""
    real = batch.tokens != PAD
    hidden: Bool[Tensor, "batch tokens"] = (
        (torch.rand(real.shape, generator=generator) < 0.12) & real & (batch.tokens != EOS)
    )
    states = model(batch.tokens.masked_fill(hidden, MASK), attention_mask=real.long()).last_hidden_state
    logits = states @ model.shared.weight.T * model.config.d_model**-0.5
    entropy = nn.functional.cross_entropy
    seen = (batch.event >= 0) & ~hidden
    event, role = batch.event.masked_fill(~seen, -1), batch.role.masked_fill(~seen, -1)
    guess = heads.adversary(Reverse.apply(states, reversal))
    leak = nn.functional.binary_cross_entropy_with_logits(guess, batch.others, reduction="none").mean(-1)
    return {
        "masked": entropy(logits.flatten(0, 1), batch.tokens.masked_fill(~hidden, -1).flatten(), ignore_index=-1),
        "event": entropy(heads.event(states).flatten(0, 1), event.flatten(), ignore_index=-1),
        "role": entropy(heads.role(states).flatten(0, 1), role.flatten(), ignore_index=-1),
        "leak": (leak * seen).sum() / seen.sum(),
    }


@torch.no_grad()
def evaluate(model: T5EncoderModel, heads: Heads, batch: Batch) -> dict[str, float]:
    """On held-out sentences: accuracy of event and role at content words, and how often the adversary names a foreign
    event."""
    model.eval()
    states = model(batch.tokens, attention_mask=(batch.tokens != PAD).long()).last_hidden_state
    model.train()
    content = (batch.event >= 0) & (batch.event < len(EVENTS))
    foreign = batch.others.sum(-1) > 0
    best = heads.adversary(states).argmax(-1)
    return {
        "event": round(float((heads.event(states).argmax(-1) == batch.event)[content].float().mean()), 3),
        "role": round(float((heads.role(states).argmax(-1) == batch.role)[content].float().mean()), 3),
        "leak": round(float(batch.others.gather(-1, best[..., None])[..., 0][foreign].mean()), 3),
    }
