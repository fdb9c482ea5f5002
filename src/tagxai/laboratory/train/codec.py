"""Stage `codec`: an EnCodec of 25 frames a second; latents and codebooks by statistics, the networks by regression."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import EncodecConfig, EncodecModel

from tagxai.laboratory import HOP, SAMPLE_RATE
from tagxai.laboratory.sounds.clips import render
from tagxai.laboratory.sounds.scenes import draw_style
from tagxai.laboratory.sounds.synthesis import EVENTS
from tagxai.laboratory.train.checkpoints import load, save
from tagxai.laboratory.train.latents import LatentSpace, fit
from tagxai.laboratory.train.loop import report, schedule
from tagxai.laboratory.train.losses import CodecLoss
from tagxai.laboratory.train.rendering import rendered
from tagxai.lazy import Float

Objective = Callable[[EncodecModel, Tensor], dict[str, Tensor]]

CROP = 25
CLIPS = 3000
ROUNDS = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
"""Shares of the decoder's steps after which the events that it renders worst are found: in the next round every other
clip has one of them.

The decoder learns tones one pitch at a time, and high ones come only when it hears little else.
"""
WORST = 4


def build() -> EncodecModel:
    """Few strides and no residual blocks: the layers at 16 kHz are what costs time. Without blocks the loss was 1.41
    after 110 s of training where it was 2.10 with them (16 filters, one thread)."""
    return EncodecModel(
        EncodecConfig(
            target_bandwidths=[0.9],  # 4 codebooks x 9 bits x 25 Hz
            sampling_rate=SAMPLE_RATE,
            hidden_size=64,
            num_filters=24,
            num_residual_layers=0,
            upsampling_ratios=[5, 8, 16],
            use_causal_conv=False,
            num_lstm_layers=1,
            codebook_size=512,
        )
    )


def quantised(model: EncodecModel, waveform: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch dim frames"]:
    """The latents as the decoder sees them in use."""
    return model.quantizer.decode(model.quantizer.encode(model.encoder(waveform)))


def latent_space(out: Path, seed: int = 0) -> LatentSpace:
    """Fit or load the latent space and its codebooks; kept in `out/latents.pt`."""
    path, config, say = out / "latents.pt", build().config, report("latents")
    if (state := load(path)) is None:
        clips = rendered(CLIPS, seed).sum(1)
        space, left = fit(clips, config.hidden_size, config.codebook_size, seed)
        say("energy left over after each codebook:", [round(value, 4) for value in left])
        save(state := space._asdict(), path)
    return LatentSpace(**state)


def crops(
    clips: Float[Tensor, "clips 2 samples"], count: int, generator: torch.Generator
) -> Float[Tensor, "crops 2 samples"]:
    """Random pieces of one second that start on a frame."""
    frames = clips.shape[-1] // HOP
    which = torch.randint(len(clips), (count,), generator=generator)
    start = torch.randint(frames - CROP + 1, (count,), generator=generator) * HOP
    return torch.stack(
        [clips[i, :, s : s + CROP * HOP] for i, s in zip(which.tolist(), start.tolist(), strict=True)]
    ).float()


def train_decoder(out: Path, steps: int = 8000, seed: int = 0, batch: int = 8) -> None:
    """Codes to waveform. Checkpoints in `out/decoder.pt`."""
    space, loss = latent_space(out, seed), CodecLoss()

    def objective(model: EncodecModel, pair: Float[Tensor, "batch 2 samples"]) -> dict[str, Tensor]:
        waveform = pair.sum(1)
        latents = space.decode(space.encode(space.latents(waveform)))
        return loss(model.decoder(latents.transpose(1, 2))[:, 0], waveform, pair[:, 0])

    for share in ROUNDS:
        path, emphasis = out / "decoder.pt", worst(out, objective)
        _descend(path, "decoder", objective, round(share * steps), steps, seed, batch, emphasis)


@torch.no_grad()
def worst(out: Path, objective: Objective, clips: int = 6) -> tuple[str, ...]:
    """The events whose sounds, alone, the decoder renders worst so far; none before it was trained."""
    model, rng, loss = build(), np.random.default_rng(0), dict[str, float]()
    if (state := load(out / "decoder.pt")) is None:
        return ()
    model.decoder.load_state_dict(state["model"])
    for event in EVENTS:
        sounds = [np.stack(render("single", (event,), rng, [draw_style(event, 3.0, rng)]).sound) for _ in range(clips)]
        terms = objective(model.eval(), torch.from_numpy(np.stack(sounds)).float())
        loss[event] = float(torch.stack(list(terms.values())).sum())
    report("decoder")("loss per event", {event: round(value, 2) for event, value in loss.items()})
    return tuple(sorted(loss, key=lambda event: -loss[event])[:WORST])


def train_encoder(out: Path, steps: int = 2000, seed: int = 0, batch: int = 8) -> None:
    """Waveform to latents. Checkpoints in `out/encoder.pt`."""
    space = latent_space(out, seed)

    def objective(model: EncodecModel, pair: Float[Tensor, "batch 2 samples"]) -> dict[str, Tensor]:
        waveform = pair.sum(1)
        latents = space.latents(waveform)
        error = (model.encoder(waveform[:, None]).transpose(1, 2) - latents).pow(2).mean()
        return {"latents": error / latents.pow(2).mean()}

    _descend(out / "encoder.pt", "encoder", objective, steps, steps, seed, batch)


def assemble(out: Path) -> EncodecModel:
    """The codec from its trained halves, as far as they have come."""
    model, space = build(), latent_space(out)
    for part in ("decoder", "encoder"):
        if state := load(out / f"{part}.pt"):
            getattr(model, part).load_state_dict(state["model"])
    for layer, book in zip(model.quantizer.layers, space.codebooks, strict=True):
        codebook: Any = layer.codebook
        codebook.embed.copy_(book)
        codebook.embed_avg.copy_(book)
        codebook.cluster_size.fill_(1)
    return model.eval().requires_grad_(False)


def _descend(
    path: Path,
    part: str,
    objective: Objective,
    steps: int,
    total: int,
    seed: int,
    batch: int,
    emphasis: tuple[str, ...] = (),
) -> None:
    """Gradient descent on one half of the codec up to `steps`, resumed from `path`; `total` sets the learning rate."""
    torch.manual_seed(seed)
    say, model, rate = report(part), build(), 2e-3
    half = getattr(model, part)
    optimiser = torch.optim.AdamW(half.parameters(), lr=rate, betas=(0.8, 0.98), weight_decay=1e-3)
    first = 0
    if state := load(path):
        half.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    if first >= steps:
        return
    clips = rendered(CLIPS, 10_000 * seed + first + 1, emphasis=emphasis)
    say(sum(p.numel() for p in half.parameters()), "weights, from step", first)
    generator = torch.Generator().manual_seed(1000 + first)
    running: dict[str, float] = {}
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * schedule(step, total)
        terms = objective(model, crops(clips, batch, generator))
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(half.parameters(), 5.0)
        optimiser.step()
        for name, value in terms.items():
            running[name] = 0.98 * running.get(name, float(value.detach())) + 0.02 * float(value.detach())
        if (step + 1) % 50 == 0:
            say(step + 1, {name: round(value, 4) for name, value in running.items()})
        if (step + 1) % 100 == 0 or step + 1 == steps:
            save({"model": half.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}, path)
