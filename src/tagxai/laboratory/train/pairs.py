"""The language model's data: prompts, and the codes of clips that were rendered for them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tagxai.laboratory.language.streams import stream
from tagxai.laboratory.train.checkpoints import load, save
from tagxai.laboratory.train.latents import LatentSpace
from tagxai.laboratory.train.loop import report
from tagxai.laboratory.train.text_labels import LENGTH
from tagxai.lazy import Int

BLOCK = 2000


class Pairs(NamedTuple):
    """Tokenised prompts, padded with 0, and their clips' codes."""

    tokens: Int[Tensor, "clips tokens"]
    codes: Int[Tensor, "clips codebooks frames"]


def make(
    out: Path, tokenizer: PreTrainedTokenizerBase, space: LatentSpace, count: int, seed: int = 0, length: int = LENGTH
) -> Pairs:
    """Render or load `count` training pairs, in resumable blocks under `out/pairs/`; sentences of `length` tokens."""
    say, blocks = report("pairs"), []
    for number in range(-(-count // BLOCK)):
        path = out / "pairs" / f"{number:03}.pt"
        if (state := load(path)) is None:
            source, rng = stream("train", 1000 * seed + 100 + number), np.random.default_rng([seed, number])
            texts, codes = [], []
            for _ in range(BLOCK):
                prompt = next(source)
                waveform = torch.from_numpy(prompt.scene.render(rng).waveform)
                codes.append(space.encode(space.latents(waveform[None])).to(torch.int16))
                texts.append(prompt.text)
            encoded = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
            save(state := {"tokens": encoded.input_ids, "codes": torch.cat(codes)}, path)
            say("block", number)
        blocks.append(state)
    return Pairs(*(torch.cat([block[name] for block in blocks])[:count] for name in ("tokens", "codes")))
