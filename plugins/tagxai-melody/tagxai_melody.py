"""MusicGen-Melody (Copet et al., 2023) without a melody: text is a prefix that the audio's self-attention reads."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar

from tagxai import Generator, hookimpl
from tagxai.contract.attention import run_edits
from tagxai.errors import UnsupportedError
from tagxai.generators.parts import layers_of
from tagxai.generators.transformers.attention import TransformersSite
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.lazy import torch  # imported when it is first used: `tagxai list` need not wait for it

_text: ContextVar[slice] = ContextVar("tagxai_melody_text")  # the keys of the call under way that are the text's tokens


class MelodySite(TransformersSite):
    """Keys are a null melody, the text and the audio; edits see the audio's queries and the text's keys."""

    def edited(self, weights, logits, values):
        text, (queries, keys) = _text.get(), weights.shape[2:]
        audio = slice(text.stop if queries == keys else 0, None)  # a prefix that is in the cache does not ask again
        seen, shown = weights[:, :, audio, text], logits[:, :, audio, text]
        edited = run_edits(self, seen, shown, values[:, :, text])
        if edited is seen:
            return weights
        rows = [weights[:, :, audio, : text.start], edited, weights[:, :, audio, text.stop :]]
        return torch.cat([weights[:, :, : audio.start], torch.cat(rows, -1)], 2)

    def scaling(self):
        raise UnsupportedError("the text's own positions would read scaled values too")  # so the weights are scaled

    @property
    def projection(self):
        raise UnsupportedError(f"attention site {self.name!r} also projects what the text reads, so it is not shown")

    block = projection


class MelodyGenerator(TransformersGenerator):
    """MusicGen-Melody through transformers, from a folder or a hub id (default facebook/musicgen-melody)."""

    name = "melody"
    # not "closes": without a prompt the audio still reads as many zeros as the prompt has tokens
    offers = frozenset({"gradients", "attention", "causal"})
    default_source = "facebook/musicgen-melody"
    architecture = "MusicgenMelodyForConditionalGeneration"
    shards, mixes_prompts = False, False
    max_tokens = 256

    def __init__(self, model, tokenizer, *, source=""):
        super().__init__(model, tokenizer, source=source)
        self.melody = model.config.chroma_length  # positions before the text, as those of a clip without a melody
        self.max_frames -= self.melody + self.max_tokens
        self.max_duration = self.max_frames / self.frame_rate

    def attention_sites(self):
        heads, layers = self.model.decoder.config.num_attention_heads, self.model.decoder.model.decoder.layers
        return [MelodySite(f"layer{i}.joint", i, "joint", heads, x.self_attn, x) for i, x in enumerate(layers)]

    def parameters_by_part(self):
        parts = super().parameters_by_part()
        return parts | layers_of(self.model.decoder.model.decoder.layers, "self_attn")

    def _prefix(self, embeddings):
        chroma = embeddings.new_zeros(1, 1, self.model.config.num_chroma)
        chroma[..., 0] = 1
        melody = self.model.audio_enc_to_dec_proj(chroma.to(self.model.audio_enc_to_dec_proj.weight))
        return torch.cat([melody.to(embeddings).expand(len(embeddings), self.melody, -1), embeddings], 1)

    def _run(self, columns, text, **options):
        decoder = self.model.decoder.model.decoder
        embedded = sum(table(codes) for table, codes in zip(decoder.embed_tokens, columns.unbind(1), strict=True))
        if (mask := options.pop("mask", None)) is not None:  # positions are those of a prompt without its padding
            first, steps = self.melody + text, torch.arange(embedded.shape[1], device=mask.device)
            table, padded = decoder.embed_positions.weights, (~mask).sum(1)[:, None]
            embedded = embedded + table[first - padded + steps] - table[first + steps]
            known = mask.new_ones(len(mask), self.melody)
            options["encoder_attention_mask"] = torch.cat([known, mask], 1).long()
        token = _text.set(slice(self.melody, self.melody + text))
        try:
            return decoder(inputs_embeds=embedded, **options).last_hidden_state[:, -embedded.shape[1] :]
        finally:
            _text.reset(token)

    def _states(self, columns, embeddings, padding):
        options = {"encoder_hidden_states": self._prefix(embeddings), "use_cache": False}
        return self._run(columns, embeddings.shape[1], mask=padding, **options)

    @contextmanager
    def _streaming(self, embeddings):
        options = {"encoder_hidden_states": self._prefix(embeddings), "past_key_values": self._empty_cache()}

        def states(columns):
            hidden = self._run(columns, embeddings.shape[1], use_cache=True, **options)
            options.pop("encoder_hidden_states", None)  # read once
            return hidden

        yield states

    def _remember(self, columns, embeddings, padding):
        raise self._unsupported("continue from the middle of a clip")


@hookimpl
def tagxai_generators() -> list[type[Generator]]:
    return [MelodyGenerator]
