"""Stage `text`: a small T5 encoder, pre-trained on text and then frozen, as AudioGen freezes T5.

Three objectives, all in one batch of sentences:
- masked tokens are predicted (grammar sentences, and captions where given): the encoder knows language a little;
- the content words of an event say, at their own position, which event it is, in which stretch of the clip (or that it
  is denied) and which mention of the sentence; so do the words of an attribute;
- an adversary behind a gradient reversal must not learn, from any position, of events and attributes that the position
  does not itself name.

The last one keeps what a word means at that word. An encoder trained without it spreads the events over articles and
`</s>`, and an attribution to "the" would then be right about the model and useless as ground truth.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, T5Config, T5EncoderModel

from tagxai.laboratory.language.grammar import Prompt, prompts
from tagxai.laboratory.sounds.clips import SLOTS
from tagxai.laboratory.sounds.synthesis import EVENTS, VALUES
from tagxai.laboratory.train.common import load, report, save, schedule
from tagxai.laboratory.train.tokenizer import EOS, MASK, PAD, captions

MEANINGS: tuple[str, ...] = (*EVENTS, *(value for values in VALUES.values() for value in values))
ROLES = ("none", "absent", *(f"{slot} of {count}" for count in (1, 2, 3) for slot in range(count)))
MENTIONS = 4
LENGTH = 34


class Batch(NamedTuple):
    """Tokenised sentences; captions have no labels (`meaning` is -1 throughout)."""

    tokens: Int[Tensor, "batch tokens"]
    meaning: Int[Tensor, "batch tokens"]  # index into MEANINGS, their number for other tokens, -1 for padding, captions
    role: Int[Tensor, "batch tokens"]
    mention: Int[Tensor, "batch tokens"]  # 1 for the sentence's first mention and its attributes, ..., 0 for the rest
    others: Float[Tensor, "batch tokens meanings"]  # meanings in the sentence that this token does not itself have

    def take(self, index: Tensor) -> "Batch":
        return Batch(*(part[index] for part in self))


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
    tokens = torch.full(shape, PAD)
    meaning, role, mention = (torch.full(shape, -1) for _ in range(3))
    others = torch.zeros(*shape, len(MEANINGS))
    encoded = tokenizer([s.text for s in sentences], return_offsets_mapping=True)
    for row, (sentence, ids, offsets) in enumerate(
        zip(sentences, encoded.input_ids, encoded.offset_mapping, strict=True)
    ):
        count = len(ids)
        tokens[row, :count] = torch.tensor(ids)
        meaning[row, :count], role[row, :count], mention[row, :count] = len(MEANINGS), 0, 0
        slots = SLOTS[sentence.form]
        for named in sentence.mentions:
            others[row, :count, MEANINGS.index(named.event)] = 1
            for attribute in named.attributes:
                others[row, :count, MEANINGS.index(attribute.value)] = 1
        for word in sentence.words():
            if word.mention is None:
                continue
            named = sentence.mentions[word.mention]
            what = named.event if word.kind == "event" else named.attributes[0].value
            where = "absent" if named.absent else f"{slots[sentence.events.index(named.event)]} of {slots[-1] + 1}"
            for position, (start, end) in enumerate(offsets):
                if word.start_char < end and start < word.end_char:
                    meaning[row, position] = MEANINGS.index(what)
                    role[row, position], mention[row, position] = ROLES.index(where), word.mention + 1
                    others[row, position, MEANINGS.index(what)] = 0
    return Batch(tokens, meaning, role, mention, others)


def unlabelled(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> Batch:
    """Captions, cut to the common length."""
    encoded = tokenizer(texts, truncation=True, max_length=LENGTH, padding="max_length", return_tensors="pt").input_ids
    nothing = torch.full_like(encoded, -1)
    return Batch(encoded, nothing, nothing, nothing, torch.zeros(*encoded.shape, len(MEANINGS)))


def train(
    out: Path,
    tokenizer: PreTrainedTokenizerBase,
    captions_folder: Path | None = None,
    steps: int = 2750,
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
    sentences = label(prompts("train", 24_000, seed), tokenizer)
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
        terms = objectives(model, heads, joined, generator, reversal=0.5 * min(1.0, step / 800))
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
    seen = (batch.meaning >= 0) & ~hidden
    heard = {name: getattr(batch, name).masked_fill(~seen, -1) for name in ("meaning", "role", "mention")}
    guess = heads.adversary(Reverse.apply(states, reversal))
    leak = nn.functional.binary_cross_entropy_with_logits(guess, batch.others, reduction="none").mean(-1)
    return {
        "masked": entropy(logits.flatten(0, 1), batch.tokens.masked_fill(~hidden, -1).flatten(), ignore_index=-1),
        **{
            name: entropy(getattr(heads, name)(states).flatten(0, 1), labels.flatten(), ignore_index=-1)
            for name, labels in heard.items()
        },
        "leak": (leak * seen).sum() / seen.sum(),
    }


@torch.no_grad()
def evaluate(model: T5EncoderModel, heads: Heads, batch: Batch) -> dict[str, float]:
    """On held-out sentences: accuracy at the words that mean something, and how often the adversary's surest guess is
    right about another word."""
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
