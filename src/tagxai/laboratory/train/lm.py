"""Stage `lm`: the MusicGen decoder, on frozen text embeddings and the codes of rendered clips."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import MusicgenDecoderConfig, MusicgenForCausalLM, T5EncoderModel

from tagxai.laboratory import CODEBOOKS
from tagxai.laboratory.train.checkpoints import load, save
from tagxai.laboratory.train.loop import report, schedule
from tagxai.laboratory.train.pairs import Pairs
from tagxai.lazy import Float, Int

PAD = 512
"""The code that fills the delay pattern's empty places: one past the last real code."""

CODEBOOK_WEIGHTS = (0.4, 0.25, 0.2, 0.15)
FORGETFUL, LAST_PART = 2 / 3, 0.77
"""Share of clips with a wrong history (`forget`), and the share of the steps after which it is halved: counting
strikes has to be learned from true histories."""

NULL_SHARE = 0.12
"""Share of clips trained without their prompt, for classifier-free guidance."""


def build(text_width: int = 128, width: int = 192) -> "Conditioned":
    """Four pre-norm layers with cross-attention and no biases, as in AudioGen; a projection from the text's width."""
    decoder = MusicgenForCausalLM(
        MusicgenDecoderConfig(
            vocab_size=PAD,
            hidden_size=width,
            num_hidden_layers=4,
            num_attention_heads=4,
            ffn_dim=4 * width,
            dropout=0.0,
            num_codebooks=CODEBOOKS,
            max_position_embeddings=512,
            initializer_factor=0.06,
            pad_token_id=PAD,
            bos_token_id=PAD,
        )
    )
    return Conditioned(decoder, nn.Linear(text_width, width))


class Conditioned(nn.Module):
    """Decoder and projection, named as in `MusicgenForConditionalGeneration`."""

    def __init__(self, decoder: MusicgenForCausalLM, projection: nn.Linear):
        super().__init__()
        self.decoder, self.enc_to_dec_proj = decoder, projection

    def forward(
        self,
        columns: Int[Tensor, "batch codebooks steps"],
        text: Float[Tensor, "batch tokens text_dim"],
        mask: Int[Tensor, "batch tokens"],
    ) -> list[Float[Tensor, "batch steps codes"]]:
        """Logits per codebook. A row whose mask is all zero is the null condition: zeros after the projection."""
        memory = self.enc_to_dec_proj(text) * mask[..., None]
        hidden = self.decoder.model(
            input_ids=columns.flatten(0, 1), encoder_hidden_states=memory, encoder_attention_mask=mask, use_cache=False
        ).last_hidden_state
        return [head(hidden) for head in self.decoder.lm_heads]


def delay(codes: Int[Tensor, "batch codebooks frames"]) -> Int[Tensor, "batch codebooks columns"]:
    """MusicGen's pattern: column 0 is empty, column 1 + f + q holds codebook q of frame f.

    >>> delay(torch.tensor([[[1, 2], [3, 4]]]))[0].tolist()
    [[512, 1, 2, 512], [512, 512, 3, 4]]
    """
    batch, codebooks, frames = codes.shape
    columns = codes.new_full((batch, codebooks, frames + codebooks), PAD)
    for q in range(codebooks):
        columns[:, q, 1 + q : 1 + q + frames] = codes[:, q]
    return columns


def forget(
    codes: Int[Tensor, "batch codebooks frames"], generator: torch.Generator, share: float = 2 / 3
) -> Int[Tensor, "batch codebooks frames"]:
    """The history that the decoder gets to see: full of gaps or of another clip's for a `share` of the clips, true for
    the rest.

    A decoder that can always copy its history asks the text at onsets only. Half of the share has 20-60 % of its
    frames replaced by frames from elsewhere or by nothing, the other half has a long stretch of another clip in its
    place, so that the history may name the wrong event: the decoder has to ask the text in every frame.
    """
    batch, _, frames = codes.shape
    drawn: dict[str, Any] = {"generator": generator, "device": codes.device}
    kind = torch.rand(batch, 1, 1, **drawn)
    clips, places = torch.randperm(batch, **drawn), torch.randperm(frames, **drawn)
    rate = 0.2 + 0.4 * torch.rand(batch, 1, 1, **drawn)
    gaps = (torch.rand(batch, 1, frames, **drawn) < rate) & (kind < share / 2)
    empty = torch.rand(batch, 1, frames, **drawn) < 0.3
    elsewhere = codes[clips][:, :, places].masked_fill(empty, PAD)
    start = torch.randint(0, frames // 2, (batch, 1, 1), **drawn)
    length = torch.randint(frames // 4, frames, (batch, 1, 1), **drawn)
    frame = torch.arange(frames, device=codes.device)
    stretch = (frame >= start) & (frame < start + length) & (kind > 1 - share / 2)
    return torch.where(gaps, elsewhere, torch.where(stretch, codes.roll(1, 0), codes))


def loss_of(logits: list[Tensor], codes: Int[Tensor, "batch codebooks frames"]) -> list[Float[Tensor, ""]]:
    """Cross-entropy per codebook, in nats per code; step f + q predicts codebook q of frame f."""
    frames = codes.shape[-1]
    return [
        nn.functional.cross_entropy(logits[q][:, q : q + frames].transpose(1, 2), codes[:, q])
        for q in range(codes.shape[1])
    ]


def optimisers_of(model: Conditioned) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the rest: as far after 400 steps as AdamW alone after 800."""
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and ".layers." in name]
    others = [weight for weight in model.parameters() if all(weight is not matrix for matrix in matrices)]
    return [
        torch.optim.Muon(matrices, lr=3e-3, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.05),
    ]


@torch.no_grad()
def embed(encoder: T5EncoderModel, tokens: Int[Tensor, "clips tokens"]) -> Float[Tensor, "clips tokens dim"]:
    """Frozen text embeddings, in half precision."""
    parts = [encoder(part, attention_mask=(part != 0).long()).last_hidden_state.half() for part in tokens.split(256)]
    return torch.cat(parts)


def start_from(model: Conditioned, decoder: nn.Module) -> None:
    """Copy another model's decoder, except for what reads the text: its cross-attention (and the projection)."""
    known = {name: weight for name, weight in decoder.state_dict().items() if ".encoder_attn" not in name}
    missing, unexpected = model.decoder.load_state_dict(known, strict=False)
    if unexpected or any(".encoder_attn" not in name for name in missing):
        raise ValueError(f"the decoder to start from has another shape: {unexpected or missing}")


def train(
    out: Path,
    encoder: T5EncoderModel,
    data: Pairs,
    steps: int = 6000,
    seed: int = 0,
    batch: int = 32,
    start: nn.Module | None = None,
    device: str = "cpu",
) -> None:
    """Train or resume the decoder; a new one starts from random weights, or from those of the decoder `start`.

    Checkpoints are in `out/lm.pt`.
    """
    torch.manual_seed(seed)
    say, path = report("lm"), out / "lm.pt"
    model = build()
    if start is not None:
        start_from(model, start)
    model.to(device)
    optimisers, first = optimisers_of(model), 0
    rates = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    if state := load(path):
        model.load_state_dict(state["model"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        first = state["step"]
    data = Pairs(data.tokens.to(device), data.codes.to(device))
    nn.Module.to(encoder, device)
    text, mask = embed(encoder, data.tokens), (data.tokens != 0).long()
    say(sum(p.numel() for p in model.parameters()), "weights,", len(data.tokens), "clips, from step", first)
    generator = torch.Generator(device).manual_seed(seed + first)
    weights, running = torch.tensor(CODEBOOK_WEIGHTS, device=device), torch.zeros(CODEBOOKS, device=device)
    for step in range(first, steps):
        for optimiser, rate in zip(optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * schedule(step, steps)
        index = torch.randint(len(data.tokens), (batch,), generator=generator, device=device)
        codes = data.codes[index].long()
        kept = (torch.rand(batch, 1, generator=generator, device=device) >= NULL_SHARE).long()
        share = FORGETFUL if step < LAST_PART * steps else FORGETFUL / 2
        logits = model(delay(forget(codes, generator, share))[..., :-1], text[index].float(), mask[index] * kept)
        losses = torch.stack(loss_of(logits, codes))
        model.zero_grad()
        (losses * weights).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        running = losses.detach() if step == first else 0.98 * running + 0.02 * losses.detach()
        if (step + 1) % 100 == 0:
            say(step + 1, "nats per code", [round(value, 3) for value in running.tolist()])
        if (step + 1) % 250 == 0 or step + 1 == steps:
            saved = [optimiser.state_dict() for optimiser in optimisers]
            save({"model": model.state_dict(), "optimisers": saved, "step": step + 1}, path)
