"""A small untrained model in MusicGen's format, and its tokenizer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.truth import Level, TrueWord, Truth, Twin
from tagxai.contract.values import Generation
from tagxai.lazy import torch


@cache
def random_generator(*, truth: bool = False) -> Generator:
    """A small untrained generator; with `truth`, one that also makes up a truth for every prompt."""
    from tagxai.generators.transformers.model import TransformersGenerator

    class WithMadeUpTruth(TransformersGenerator):
        """Claims, without evidence, that the first word of every prompt makes the first half of the clip."""

        offers = TransformersGenerator.offers | {"truth"}

        def truth(self, generation: Generation, level: Level = "word") -> Truth:
            mask = torch.arange(generation.frames) < generation.frames / 2
            word = TrueWord(0, len(generation.prompt.split()[0]), "event", causal=True)
            return Truth((word,), mask[None], generation.frame_rate)

        def twin(self, generation: Generation) -> Twin:
            """Claims that a clip of another seed lacks what the second word names."""
            first, second, *_ = generation.prompt.split()
            start, known = generation.prompt.index(second, len(first)), self.truth(generation)
            words = (*known.words, TrueWord(start, start + len(second), "event", causal=True))
            (other,) = self.generate_many([Request.again(generation, seed=generation.seed + 1)])
            mask = torch.cat([known.mask, torch.zeros_like(known.mask)])
            return Twin(other, Truth(words, mask, generation.frame_rate), (1,))

    with TemporaryDirectory() as folder:
        return (WithMadeUpTruth if truth else TransformersGenerator).load(str(random_checkpoint(folder)))


def random_checkpoint(
    folder: str | Path,
    *,
    seed: int = 0,
    channels: int = 1,
    codebooks: int = 4,
    vocabulary: int = 64,
    layers: int = 2,
    heads: int = 4,
    width: int = 32,
    text_width: int = 24,
    max_steps: int = 80,
    feed_forward: int | None = None,
) -> Path:
    """Write an untrained model in MusicGen's format, tokenizer included, to `folder`: about 0.4 MB, 25 frames a second.

    `codebooks` are those of one channel: a stereo decoder (`channels=2`) has twice as many. `layers`, `heads`, `width`,
    `feed_forward` (None: twice the width) and `max_steps` are the decoder's, `text_width` the text encoder's. Its
    weights are large enough that the prompt changes the audio codes. The same arguments always write the same weights.
    """
    from transformers import (
        EncodecConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        T5Config,
    )

    from tagxai.generators.parts import quiet

    target = Path(folder)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = small_tokenizer()
        text = T5Config(
            vocab_size=len(tokenizer), d_model=text_width, d_kv=8, d_ff=2 * text_width, num_layers=2, num_heads=3
        )
        frame_rate, bits = 25, (vocabulary - 1).bit_length()
        codec = EncodecConfig(
            sampling_rate=16_000,
            upsampling_ratios=[10, 64],  # their product is the hop: 640 samples, 25 frames a second
            num_filters=4,
            hidden_size=16,
            codebook_dim=16,
            num_lstm_layers=1,
            codebook_size=vocabulary,
            target_bandwidths=[codebooks * bits * frame_rate / 1000],
            use_causal_conv=False,
        )
        decoder = MusicgenDecoderConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            ffn_dim=feed_forward or 2 * width,
            num_codebooks=codebooks * channels,
            audio_channels=channels,
            pad_token_id=vocabulary,
            bos_token_id=vocabulary,
            max_position_embeddings=max_steps,
            dropout=0.0,
            initializer_factor=width**-0.5,
        )
        config = MusicgenConfig(text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict())
        model = MusicgenForConditionalGeneration(config)
        quantizer: Any = model.audio_encoder.quantizer
        for layer in quantizer.layers:  # transformers makes all entries zero: one sound for all codes
            layer.codebook.embed.normal_(std=3.0)
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return target


_WORDS = "a the sound of dog bark rain fall while then followed by bird sing bell ring siren thunder with engine no"


def small_tokenizer() -> Any:
    """A Unigram tokenizer over a few words, their endings and single letters, so that most words take 1-3 pieces."""
    from string import ascii_lowercase, punctuation

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    pieces = [*(f"▁{word}" for word in _WORDS.split()), "s", "ing", "ed", "out", "▁", *ascii_lowercase, *punctuation]
    scores = [(piece, 0.0) for piece in special] + [
        (piece, -4.0 if len(piece) > 1 else -8.0) for piece in dict.fromkeys(pieces)
    ]
    unigram = Tokenizer(models.Unigram(scores, unk_id=special.index("<unk>")))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    unigram.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", special.index("</s>"))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=unigram, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
