"""One pass of ACE-Step's transformer, with the states that its last projection reads, and its attention."""

from __future__ import annotations

from typing import Any

from tagxai.contract.values import Conditioning
from tagxai.generators.diffusers.attention import Editing
from tagxai.generators.latents.model import Prediction
from tagxai.generators.latents.sites import by_frame
from tagxai.lazy import Float, torch


def predict(
    net: Any,
    latents: Float[torch.Tensor, "rows frames width"],
    levels: Float[torch.Tensor, " levels"],
    conditioning: Conditioning,
    silence: Float[torch.Tensor, "1 frames width"],
) -> Prediction:
    """`AceStepTransformer1DModel.forward` for a clip made from text alone, levels innermost among the rows."""
    from diffusers.models.transformers.ace_step_transformer import _ace_step_rotary_freqs, _create_4d_mask

    count, frames, patch = len(levels), latents.shape[1], net.config.patch_size
    exact = torch.autocast(latents.device.type, enabled=False)  # only the layers are in a lower dtype
    with exact:
        keys, bias = _keys(conditioning)
        context = net.condition_embedder(keys).repeat_interleave(count, 0)
        bias = None if bias is None else bias.repeat_interleave(count, 0)
        time, modulation = (
            sum_of.repeat(len(conditioning), *[1] * (sum_of.ndim - 1))
            for sum_of in map(torch.add, net.time_embed(levels), net.time_embed_r(torch.zeros_like(levels)))
        )
        beside = torch.cat([silence, torch.ones_like(silence)], -1).expand(len(latents), -1, -1)
        whole = torch.nn.functional.pad(torch.cat([beside, latents], -1), (0, 0, 0, -frames % patch))
        states = net.proj_in_conv(whole.transpose(1, 2)).transpose(1, 2)
        length, device = states.shape[1], states.device
        turns = _ace_step_rotary_freqs(length, net.head_dim, net.rope_theta, device, states.dtype)
        near = _create_4d_mask(
            length,
            states.dtype,
            device,
            sliding_window=net.config.sliding_window,
            is_sliding_window=True,
            is_causal=False,
        )
    for layer, kind in zip(net.layers, net.layer_types, strict=True):
        states = layer(
            hidden_states=states,
            position_embeddings=turns,
            temb=modulation,
            attention_mask=near if kind == "sliding_attention" else None,
            encoder_hidden_states=context,
            encoder_attention_mask=bias,
        )
    with exact:
        shift, scale = (net.scale_shift_table + time[:, None]).chunk(2, dim=1)
        hidden = net.norm_out(states.float()) * (1 + scale) + shift
        velocity = net.proj_out_conv(hidden.transpose(1, 2)).transpose(1, 2)[:, :frames]
        return Prediction(velocity, by_frame(hidden, 1, frames, patch, 1))


def _keys(
    conditioning: Conditioning,
) -> tuple[Float[torch.Tensor, "batch keys dim"], Float[torch.Tensor, "batch 1 1 keys"] | None]:
    """Shown tokens, then the hidden ones, whose order says nothing to the network; and what shuts out padding."""
    text, kept = conditioning.embeddings, conditioning.mask
    hidden = conditioning.extras.get("hidden", text[:, :0])
    keys = torch.cat([text, hidden], 1)
    if bool(kept.all()):
        return keys, None
    kept = torch.nn.functional.pad(kept, (0, hidden.shape[1]), value=True)
    bias = torch.zeros(kept.shape, dtype=text.dtype, device=text.device)
    return keys, bias.masked_fill(~kept, torch.finfo(text.dtype).min)[:, None, None]


class AceStepEditing(Editing):
    """ACE-Step's cross-attention: several heads of queries share one of keys, and both are normed."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        image_rotary_emb: Any = None,
    ) -> torch.Tensor:
        if not self.is_asked:
            return self.own(attn, hidden_states, encoder_hidden_states, attention_mask, image_rotary_emb)
        query = attn.norm_q(attn.to_q(hidden_states).unflatten(-1, (attn.heads, -1)))
        key = attn.norm_k(attn.to_k(encoder_hidden_states).unflatten(-1, (attn.kv_heads, -1)))
        value = attn.to_v(encoder_hidden_states).unflatten(-1, (attn.kv_heads, -1))
        shared = attn.heads // attn.kv_heads
        key, value = (each.transpose(1, 2).repeat_interleave(shared, dim=1) for each in (key, value))
        return attn.to_out[0](self.mixed([(query.transpose(1, 2), key)], value, attention_mask))
