"""Stage `text`: a small T5 encoder, pre-trained on text and then frozen, as AudioGen freezes T5.

Three objectives (`text_objectives`), all in one batch of sentences:
- masked tokens are predicted (grammar sentences, and captions where given): the encoder knows language a little;
- the content words of an event say, at their own position, which event it is, in which stretch of the clip (or that it
  is denied) and which mention of the sentence; so do the words of an attribute;
- an adversary behind a gradient reversal must not learn, from any position, of events and attributes that the position
  does not itself name.

The last one keeps what a word means at that word. An encoder trained without it spreads the events over articles and
`</s>`, and an attribution to "the" would then be right about the model and useless as ground truth.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, T5Config, T5EncoderModel

from tagxai.laboratory.language.streams import prompts
from tagxai.laboratory.train import natural_objectives, text_objectives
from tagxai.laboratory.train.checkpoints import load, save
from tagxai.laboratory.train.loop import report, schedule
from tagxai.laboratory.train.text_labels import LENGTH, Batch, label, unlabelled
from tagxai.laboratory.train.tokenizer import EOS, PAD, captions


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


def train(
    out: Path,
    tokenizer: PreTrainedTokenizerBase,
    captions_folder: Path | None = None,
    steps: int = 2750,
    seed: int = 0,
    batch: int = 64,
    *,
    natural: bool = False,
    length: int = LENGTH,
    sentences: int = 24_000,
) -> T5EncoderModel:
    """Train or resume the text encoder; checkpoints in `out/text.pt`, the result in `out/text/`.

    `natural` takes the objectives of `natural_objectives`; `sentences` of the grammar are cut to `length` tokens.
    """
    torch.manual_seed(seed)
    say, path = report("text"), out / "text.pt"
    model = build(len(tokenizer))
    aims: Any = natural_objectives if natural else text_objectives
    heads = aims.Heads(model.config.d_model)
    optimiser = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=1e-3, weight_decay=0.01)
    first = 0
    if state := load(path):
        model.load_state_dict(state["model"])
        heads.load_state_dict(state["heads"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    ours = label(prompts("train", sentences, seed), tokenizer, length)
    texts = captions(captions_folder)
    real = unlabelled(texts, tokenizer, length) if texts else ours
    held_out = label(prompts("test", 600, seed), tokenizer, length)
    generator = torch.Generator().manual_seed(seed + first)
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * schedule(step, steps)
        parts = (
            ours.take(torch.randint(len(ours.tokens), (batch,), generator=generator)),
            real.take(torch.randint(len(real.tokens), (batch // 2,), generator=generator)),
        )
        joined = Batch(*(torch.cat(pair) for pair in zip(*parts, strict=True)))
        terms = aims.objectives(model, heads, joined, generator, progress=step / steps)
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
                aims.evaluate(model, heads, held_out),
            )
    model.eval().save_pretrained(out / "text")
    return model
