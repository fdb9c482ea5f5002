"""`tiny:natural`, the sibling with a natural text encoder: trained from the captions' sub-words to its language model.

Sounds, codec, detector and splits are those of the shipped model. The language model's recipe is the same, too, but it
starts from the shipped decoder without what reads the text, so that it takes fewer steps: how text is read
(cross-attention, the projection before it) is learned from nothing, on states of the natural encoder.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, MusicgenForConditionalGeneration, T5EncoderModel

from tagxai.laboratory import WEIGHTS
from tagxai.laboratory.train import export as whole
from tagxai.laboratory.train import lm, pairs, text, tokenizer
from tagxai.laboratory.train.latent.space import shipped_space

LENGTH = 48
"""Tokens of a sentence: ordinary sub-words are more than the shipped model's."""

SENTENCES = 12_000


def train_text(out: Path, captions: Path, steps: int, seed: int = 0) -> None:
    """Train or resume the text encoder, with sub-words of captions alone."""
    known = (out / "tokenizer").is_dir()  # an encoder that resumes keeps its sub-words
    words = AutoTokenizer.from_pretrained(out / "tokenizer") if known else tokenizer.train_ordinary(out, captions)
    text.train(out, words, captions, steps, seed, batch=32, natural=True, length=LENGTH, sentences=SENTENCES)


def train_lm(out: Path, clips: int, steps: int, seed: int = 0, batch: int = 32, device: str = "cpu") -> None:
    """Train or resume the language model; codes are those of the shipped codec."""
    shipped = MusicgenForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32)
    words, space = AutoTokenizer.from_pretrained(out / "tokenizer"), shipped_space(out, shipped)
    data = pairs.make(out, words, space, clips, seed, LENGTH)
    encoder = T5EncoderModel.from_pretrained(out / "text").eval()
    lm.train(out, encoder, data, steps, seed, batch, start=shipped.decoder, device=device)


def export(out: Path, weights: Path) -> None:
    """Write the model folder `weights`, with the shipped codec, meters and detector."""
    shipped = MusicgenForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32)
    weights.mkdir(parents=True, exist_ok=True)
    codec: Any = shipped.audio_encoder
    whole.assemble(out, codec).half().save_pretrained(weights)
    whole.load_as_float32(weights / "config.json")
    AutoTokenizer.from_pretrained(out / "tokenizer").save_pretrained(weights)
    for name in ("meters.json", "detector.safetensors", "detector.json"):
        shutil.copyfile(WEIGHTS / name, weights / name)
