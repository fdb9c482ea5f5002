"""The sub-word tokenizer: a lower-casing Unigram whose pieces keep event words whole or nearly so."""

import csv
import itertools
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tagxai.laboratory.language.streams import prompts

SPECIAL = ["<pad>", "</s>", "<unk>", "<extra_id_0>"]
PAD, EOS, UNKNOWN, MASK = range(4)


def captions(folder: Path | None) -> list[str]:
    """Captions of every CSV in a folder that has a `caption` column; none without a folder."""
    if folder is None:
        return []
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found += [row["caption"].strip() for row in csv.DictReader(file) if row.get("caption")]
    return found


def build(texts: Iterable[str], vocabulary: int = 1000) -> PreTrainedTokenizerFast:
    """Unigram pieces of `texts`; `</s>` is appended as T5 does."""
    tokenizer = _lower_casing(models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    # The trainer proposes only strings seen with different next characters, never the end of a word: so words get
    # varied ends.
    ends = itertools.cycle(["", ".", ",", "!", "?", ";", ":"])
    words = (" ".join(word.rstrip(".,") + next(ends) for word in text.split()) for text in texts)
    tokenizer.train_from_iterator(words, trainer)
    return _like_t5(tokenizer)


def build_ordinary(texts: Iterable[str], vocabulary: int = 1000) -> PreTrainedTokenizerFast:
    """Byte-pair merges of `texts`, which need not be about the laboratory's events: rare words are several pieces."""
    tokenizer = _lower_casing(models.BPE(unk_token="<unk>"))
    splits = [tokenizer.pre_tokenizer, pre_tokenizers.Punctuation()]  # or "barks." would be a piece
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return _like_t5(tokenizer)


def _lower_casing(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return tokenizer


def _like_t5(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=["<extra_id_0>"],
        model_max_length=64,
    )


def train(out: Path, captions_folder: Path | None = None, seed: int = 0) -> PreTrainedTokenizerFast:
    """Train and save under `out/tokenizer`."""
    texts = [prompt.text for prompt in prompts("train", 20_000, seed)] + captions(captions_folder)
    tokenizer = build(texts)
    tokenizer.save_pretrained(out / "tokenizer")
    return tokenizer


def train_ordinary(out: Path, captions_folder: Path) -> PreTrainedTokenizerFast:
    """Train on captions alone, which know nothing of the grammar, and save under `out/tokenizer`."""
    tokenizer = build_ordinary(captions(captions_folder))
    tokenizer.save_pretrained(out / "tokenizer")
    return tokenizer
