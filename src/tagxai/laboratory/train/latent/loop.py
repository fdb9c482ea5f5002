"""Flow matching: the velocity from clip to noise, learned at noise levels where the text matters."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tagxai.laboratory.latent_flow import FlowConfig, LatentFlow
from tagxai.laboratory.train.checkpoints import load, save
from tagxai.laboratory.train.latent.pairs import Pairs
from tagxai.laboratory.train.latent.precision import HalfProducts
from tagxai.laboratory.train.latents import LatentSpace
from tagxai.laboratory.train.loop import report
from tagxai.lazy import Bool, Float, Int

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
"""Noise levels at which held-out clips are tried."""

Encoder = Callable[[Int[Tensor, "batch tokens"]], Float[Tensor, "batch tokens text"]]


@dataclass(frozen=True)
class Settings:
    """How the flow is trained.

    Noise levels are drawn as sigmoid(normal(middle, `spread`)), where the middle moves from the first to the last of
    `middles` over the steps: nearly all levels are high at first, since the layout of a clip, which is what the text
    decides, is settled near noise; the sounds themselves are soon learned. `null` is the share of clips without text,
    for guidance. The learning rate is constant up to `steady` of the steps and falls from there.
    """

    steps: int = 5400
    batch: int = 16
    matrices: float = 3e-3
    others: float = 1.5e-3
    average: float = 0.999
    null: float = 0.12
    middles: tuple[float, float] = (3.0, 0.8)
    spread: float = 1.5
    steady: float = 0.5
    every: int = 250
    seed: int = 0


class Batch(NamedTuple):
    """Clips in the flow's scale, noise, noise levels, and encoded text with its mask."""

    clean: Float[Tensor, "batch frames dim"]
    noise: Float[Tensor, "batch frames dim"]
    level: Float[Tensor, " batch"]
    text: Float[Tensor, "batch tokens text"]
    mask: Bool[Tensor, "batch tokens"]

    def loss(self, model: LatentFlow) -> Float[Tensor, " batch"]:
        """The mean squared error of each clip's velocity."""
        level = self.level[:, None, None]
        velocity = model((1 - level) * self.clean + level * self.noise, self.level, self.text, self.mask)
        return (velocity - (self.noise - self.clean)).square().mean((1, 2))


def frozen(model: PreTrainedModel) -> Encoder:
    """Text encoder as a function of token rows, padded with 0."""
    model = model.eval().requires_grad_(False)
    return lambda tokens: model(tokens, attention_mask=(tokens != 0).long()).last_hidden_state


def scale_of(latents: Float[Tensor, "clips frames dim"], power: float = 0.5) -> Float[Tensor, " dim"]:
    """What latents are divided by: their deviations, half evened out, so that together they have unit variance."""
    deviation = latents.float().std((0, 1))
    even = deviation**power
    return even * (deviation / even).square().mean().sqrt()


def prepared(config: FlowConfig, data: Pairs, space: LatentSpace, seed: int) -> LatentFlow:
    """An untrained flow that knows its latent space."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LatentFlow(config)
    model.scale.copy_(scale_of(data.latents[:4000]))
    model.mean.copy_(space.mean)
    model.basis.copy_(space.basis)
    return model


def draw(data: Pairs, encode: Encoder, scale: Tensor, settings: Settings, step: int) -> Batch:
    """The batch of a step, which depends on nothing else: a resumed run sees what an unbroken one does."""
    generator, count = torch.Generator().manual_seed(settings.seed * 1_000_003 + step), settings.batch
    clips = torch.randint(len(data.latents), (count,), generator=generator)
    telling = torch.randint(data.tokens.shape[1], (count,), generator=generator)
    tokens = data.tokens[clips, telling].long()
    tokens = tokens[:, : int((tokens != 0).sum(1).max())]
    clean = data.latents[clips].float() / scale
    noise = torch.randn(clean.shape, generator=generator)
    # One level from each of `count` equally likely ranges: the loss is less noisy.
    share = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    normal = torch.special.ndtri(share.clamp(1e-4, 1 - 1e-4))
    first, last = settings.middles
    level = torch.sigmoid(first + (last - first) * step / settings.steps + settings.spread * normal)
    conditional = (torch.rand(count, 1, 1, generator=generator) >= settings.null).float()
    with torch.no_grad():
        text = encode(tokens) * conditional
    return Batch(clean, noise, level, text, tokens != 0)


def rate(step: int, settings: Settings, warmup: int = 150, last: float = 0.02) -> float:
    """Factor on the learning rate: linear warm-up, a plateau, half a cosine."""
    falling = max(0.0, (step / settings.steps - settings.steady) / (1 - settings.steady))
    return min(1.0, (step + 1) / warmup) * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, falling))))


def optimisers_of(model: LatentFlow, settings: Settings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for the rest."""
    matrices = [module.weight for module in model.blocks.modules() if isinstance(module, nn.Linear)]
    others = [weight for weight in model.parameters() if all(weight is not matrix for matrix in matrices)]
    return [
        torch.optim.Muon(matrices, lr=settings.matrices, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=settings.others, betas=(0.9, 0.98), weight_decay=0.01),
    ]


@torch.no_grad()
def held_out_loss(model: LatentFlow, batch: Batch) -> dict[str, float]:
    """The error of held-out clips at each of `LEVELS`, with text and, last, without."""
    losses = {}
    for level in LEVELS:
        at = batch._replace(level=torch.full_like(batch.level, level))
        losses[f"{level:g}"] = round(float(at.loss(model).mean()), 3)
    null = batch._replace(level=torch.full_like(batch.level, LEVELS[-1]), text=torch.zeros_like(batch.text))
    return {**losses, "null": round(float(null.loss(model).mean()), 3)}


def train(
    out: Path,
    data: Pairs,
    encode: Encoder,
    space: LatentSpace,
    held_out: Pairs,
    settings: Settings,
    config: FlowConfig,
) -> LatentFlow:
    """Train or resume the flow and return the average of its weights; checkpoints in `out/flow.pt`."""
    say, path = report("flow"), out / "flow.pt"
    model = prepared(config, data, space, settings.seed)
    average = copy.deepcopy(model).requires_grad_(False)
    optimisers, first = optimisers_of(model, settings), 0
    if state := load(path):
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        first = state["step"]
    say(sum(weight.numel() for weight in model.parameters()), "weights,", len(data.latents), "clips, from step", first)
    tried = draw(held_out, encode, model.scale, replace(settings, batch=len(held_out.latents), null=0.0), 0)
    bases, running = (settings.matrices, settings.others), 0.0
    for step in range(first, settings.steps):
        for optimiser, base in zip(optimisers, bases, strict=True):
            optimiser.param_groups[0]["lr"] = base * rate(step, settings)
        batch = draw(data, encode, model.scale, settings, step)
        with HalfProducts():
            loss = batch.loss(model).mean()
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        decay = min(settings.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        running = float(loss.detach()) if step == first else 0.98 * running + 0.02 * float(loss.detach())
        if (step + 1) % 50 == 0:
            say(step + 1, "loss", round(running, 4))
        if (step + 1) % settings.every == 0 or step + 1 == settings.steps:
            saved = [optimiser.state_dict() for optimiser in optimisers]
            parts = {"model": model.state_dict(), "average": average.state_dict()}
            save({**parts, "optimisers": saved, "step": step + 1}, path)
            say(step + 1, "held out", held_out_loss(average, tried))
    return average.eval()
