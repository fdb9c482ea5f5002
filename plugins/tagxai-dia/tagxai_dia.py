"""Dia (Nari Labs, 2025) as a generator for tagxai: speech and sounds from text that it reads byte by byte."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

from tagxai import Generator, hookimpl
from tagxai.contract.whole_weights import read_whole
from tagxai.generators.codes.delay_pattern import DelayPatternGenerator
from tagxai.generators.parts import quiet
from tagxai.generators.sources import load_from
from tagxai.generators.transformers.attention import TransformersSite
from tagxai.lazy import torch  # imported on first use, so that `tagxai list` need not wait for it


class DiaGenerator(DelayPatternGenerator):
    """Dia through transformers, from a local folder or a hub id (default nari-labs/Dia-1.6B-0626)."""

    name = "dia"
    # not "closes": a gate of zeros is not Dia's null condition, which is a text of zero bytes
    offers = frozenset({"gradients", "attention", "causal"})
    mixes_prompts = True
    default_source = "nari-labs/Dia-1.6B-0626"
    default_guidance_scale = 4.0  # Dia's own 3.0 counts from the conditional logits
    default_top_k, default_temperature = 45, 1.8

    def __init__(self, model, tokenizer, codec, *, source=""):
        self.model, self.codec = model, codec
        self._borrow(model, codec)
        self.tokenizer, self.source = tokenizer, source
        self.delays = tuple(model.config.delay_pattern)
        self.pad = model.config.decoder_config.bos_token_id
        self.sample_rate = codec.config.sampling_rate
        self.frame_rate = codec.config.sampling_rate / codec.config.hop_length
        self.max_frames = model.config.decoder_config.max_position_embeddings - max(self.delays)
        self.max_duration = self.max_frames / self.frame_rate

    @classmethod
    def load(cls, source=None, *, device="cpu", dtype="float32"):
        source, read = source or cls.default_source, partial(_from_pretrained, dtype=dtype)
        model, tokenizer, codec = load_from(source, read, what="a Dia model", layout="in transformers format")
        return cls(model.to(device), tokenizer, codec.to(device), source=source)

    def attention_sites(self):
        own, cross = (self.model.config.decoder_config.to_dict()[f"{of}num_attention_heads"] for of in ("", "cross_"))
        sites = []
        for i, layer in enumerate(self.model.model.decoder.layers):
            sites.append(
                TransformersSite(f"layer{i}.self", i, "self", own, layer.self_attention, layer, output="o_proj")
            )
            module = layer.cross_attention
            sites.append(TransformersSite(f"layer{i}.cross", i, "cross", cross, module, layer, output="o_proj"))
        return sites

    def modules(self):
        return {"model": self.model, "codec": self.codec}

    @property
    def device(self):
        return self.model.device

    @property
    def dtype(self):
        return self.model.dtype

    @property
    def _heads(self):
        sounds = self.codec.config.codebook_size  # later rows are special codes, such as the end of a clip
        rows = self.model.logits_dense.weight.chunk(self.codebooks)
        return [partial(torch.nn.functional.linear, weight=weight[:sounds]) for weight in rows]

    def _tokenize(self, prompt):
        ids = self.tokenizer(prompt)["input_ids"] or [self.tokenizer.pad_token_id]
        tokens = self.tokenizer.convert_ids_to_tokens(ids)
        characters = [i for i, character in enumerate(prompt) for _ in character.encode()]  # the character of each byte
        spans, byte = [], 0
        for token in tokens if prompt else []:
            first, byte = byte, byte + len(token)  # a token is a byte, or the name of a speaker such as "[S1]"
            last = byte - 1 + prompt[characters[first]].isspace()  # a space belongs to the word after it
            spans.append((characters[first], characters[min(last, len(characters) - 1)] + 1))
        return ids, tokens, spans or [(0, 0)]

    def _embed(self, ids, mask):
        return self.model.model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state

    def _null(self, embeddings):
        zero = torch.zeros(1, 1, dtype=torch.long, device=self.device)  # any number of zeros gives the same states
        with torch.no_grad():
            return self._embed(zero, torch.ones_like(zero)).expand_as(embeddings)

    def _states(self, columns, embeddings, padding):
        read = {
            "encoder_hidden_states": embeddings,
            "encoder_attention_mask": None if padding is None else padding.long(),
        }
        return self.model.model.decoder(columns.transpose(1, 2).contiguous(), **read).last_hidden_state

    @contextmanager
    def _streaming(self, embeddings):
        from transformers import DynamicCache, EncoderDecoderCache

        past = EncoderDecoderCache(DynamicCache(), DynamicCache())
        decoder = partial(self.model.model.decoder, encoder_hidden_states=embeddings, past_key_values=past)
        yield lambda columns: decoder(columns.transpose(1, 2)).last_hidden_state

    def decode_codes(self, codes):
        with torch.no_grad():
            return self.codec.decode(audio_codes=codes[None].to(self.device)).audio_values.reshape(1, -1).float()


def _from_pretrained(source, dtype, **hub):
    from transformers import AutoProcessor, DiaForConditionalGeneration

    with quiet(), torch.random.fork_rng(devices=[]):  # building a model draws weights before it loads them
        model = read_whole(DiaForConditionalGeneration, source, dtype=getattr(torch, dtype), **hub)
        processor = AutoProcessor.from_pretrained(source, **hub)
        return model, processor.tokenizer, processor.audio_tokenizer


@hookimpl
def tagxai_generators() -> list[type[Generator]]:
    return [DiaGenerator]
