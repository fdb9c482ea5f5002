"""Sentences as the text encoder's pre-training sees them: tokens, and at each token what it means."""

from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tagxai.laboratory.language.prompt import Prompt
from tagxai.laboratory.sounds.clips import SLOTS
from tagxai.laboratory.sounds.styles import VALUES
from tagxai.laboratory.sounds.synthesis import EVENTS
from tagxai.laboratory.train.tokenizer import PAD
from tagxai.lazy import Float, Int

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


def label(sentences: list[Prompt], tokenizer: PreTrainedTokenizerBase, length: int = LENGTH) -> Batch:
    """Tokens and their labels, padded to a common length."""
    shape = (len(sentences), length)
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


def unlabelled(texts: list[str], tokenizer: PreTrainedTokenizerBase, length: int = LENGTH) -> Batch:
    """Captions, cut to the common length."""
    encoded = tokenizer(texts, truncation=True, max_length=length, padding="max_length", return_tensors="pt").input_ids
    nothing = torch.full_like(encoded, -1)
    return Batch(encoded, nothing, nothing, nothing, torch.zeros(*encoded.shape, len(MEANINGS)))
