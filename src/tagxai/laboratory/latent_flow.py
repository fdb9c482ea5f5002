"""A flow-matching transformer over the latents of a codec: the network of the embedded model `latent`.

The family of Stable Audio: frames of latents attend to one another, to the text by cross-attention, and are given the
noise level by adaptive normalisation (AdaLN). It predicts the velocity `noise - latents` at
`(1 - t) * latents + t * noise`, so that t = 1 is pure noise. What comes from the text comes by cross-attention alone,
whose projections have no biases: zeroed text adds exactly nothing, as attention weights of zero do.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tagxai.lazy import Bool, Float

SHARPNESS = 2.25
"""Queries and keys are normalised, and their cosine times this and the root of the head's width are the logits."""


class Editing(Protocol):
    """What a caller does to the attention of one module. Weights and logits are `[batch, heads, frames, keys]`."""

    def wants_weights(self) -> bool:
        """Whether this call's weights are asked for; else the fused attention runs."""

    def weights(self, weights: Tensor, logits: Tensor, values: Tensor) -> Tensor:
        """New weights."""

    def values(self, values: Tensor) -> Tensor:
        """New values `[batch, heads, keys, dim]`, of every call."""


@dataclass(frozen=True)
class FlowConfig:
    """The sizes of a flow, and how clips are made with it unless asked otherwise."""

    width: int = 192
    layers: int = 4
    heads: int = 4
    inner: int = 512
    dim: int = 64
    bins: int = 321
    text: int = 128
    frames: int = 75
    denoising_steps: int = 16
    guidance_scale: float = 2.5
    shift: float = 3.0


def waves(frames: int, width: int) -> Float[Tensor, "frames width"]:
    """Cosines and sines whose periods run from 3 frames to 150: they tell near frames apart as well as far ones."""
    periods = torch.logspace(math.log10(3), math.log10(150), width // 2)
    angles = torch.outer(torch.arange(frames), 2 * math.pi / periods)
    return torch.cat([angles.cos(), angles.sin()], 1)


Table = tuple[Float[Tensor, "frames half"], Float[Tensor, "frames half"]]
"""Cosines and sines of rotary positions."""


def rotary(frames: int, width: int) -> Float[Tensor, "2 frames half"]:
    """Cosines and sines of rotary positions; the slowest turns once in some hundreds of frames."""
    angles = torch.outer(torch.arange(frames), 100.0 ** (-torch.arange(0, width, 2) / width))
    return torch.stack([angles.cos(), angles.sin()])


def turned(x: Float[Tensor, "batch heads frames dim"], table: Table) -> Tensor:
    """Each pair of channels rotated by its frame's angle."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * table[0] - b * table[1], a * table[1] + b * table[0]], -1)


def evened(t: Tensor) -> Tensor:
    """What gives noisy latents unit variance at noise level t, and the rest of the velocity, too."""
    return (t.square() + (1 - t).square()).rsqrt()


def loudness(t: Tensor) -> Tensor:
    """What noisy latents are multiplied by before the network reads them: the less they tell, the quieter they are.

    Near noise only text and place tell anything. At full strength the noise drowned the product of both, and nearly
    four times as much training was needed to place strikes by their count.
    """
    return evened(t) * (1 - t).sqrt()


class Attention(nn.Module):
    """Multi-head attention without biases; `editing`, where set, may replace its weights and values."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.editing = heads, None
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(width, width, bias=False) for _ in range(4))
        nn.init.normal_(self.to_out.weight, std=0.02)

    editing: Editing | None

    def forward(
        self,
        x: Float[Tensor, "batch frames width"],
        source: Float[Tensor, "batch keys width"],
        mask: Bool[Tensor, "batch 1 1 keys"] | None = None,
        table: Table | None = None,
    ) -> Float[Tensor, "batch frames width"]:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.to_q(x), self.to_k(source), self.to_v(source))
        )
        q, k = (F.rms_norm(part, part.shape[-1:], eps=1e-6) for part in (q, k))
        if table is not None:
            q, k = turned(q, table), turned(k, table)
        scale = SHARPNESS * q.shape[-1] ** -0.5
        editing = self.editing
        if editing is not None:
            v = editing.values(v)
        if editing is None or not editing.wants_weights():
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
        else:
            logits = q @ k.transpose(2, 3) * scale
            if mask is not None:
                logits = logits.masked_fill(~mask, -torch.inf)
            y = editing.weights(logits.softmax(-1), logits, v) @ v
        return self.to_out(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Self-attention and feed-forward, both scaled, shifted and gated by the noise level; between them the text."""

    def __init__(self, config: FlowConfig):
        super().__init__()
        self.self_attn, self.cross_attn = (Attention(config.width, config.heads) for _ in range(2))
        self.norm = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, 2 * config.inner, bias=False)
        self.down = nn.Linear(config.inner, config.width, bias=False)
        self.modulation = nn.Parameter(torch.zeros(6, config.width))
        nn.init.normal_(self.down.weight, std=0.02)

    def forward(
        self, x: Tensor, level: Float[Tensor, "batch 6 width"], text: Tensor, mask: Tensor, table: Table
    ) -> Tensor:
        a, b, gate, c, d, open_ = (level + self.modulation).unsqueeze(2).unbind(1)
        y = F.layer_norm(x, x.shape[-1:]) * (1 + a) + b
        x = x + (1 + gate) * self.self_attn(y, y, table=table)
        x = x + self.cross_attn(self.norm(x), text, mask)
        y, z = self.up(F.layer_norm(x, x.shape[-1:]) * (1 + c) + d).chunk(2, -1)
        return x + (1 + open_) * self.down(F.silu(y) * z)


class LatentFlow(nn.Module):
    """Velocity of noisy latents. Its latents are the codec's divided by `scale`; `mean` and `basis` are the codec's
    own: `(log spectrum - mean) @ basis` are its latents, which the codec's weights do not tell."""

    scale: Tensor
    mean: Tensor
    basis: Tensor
    table: Tensor
    rates: Tensor

    def __init__(self, config: FlowConfig = FlowConfig()):
        super().__init__()
        self.config, width = config, config.width
        self.enter, self.leave = nn.Linear(config.dim, width), nn.Linear(width, config.dim)
        self.place = nn.Parameter(0.5 * waves(config.frames, width))
        self.text = nn.Linear(config.text, width, bias=False)
        self.time = nn.Sequential(nn.Linear(128, width), nn.SiLU())
        self.level, self.last = nn.Linear(width, 6 * width), nn.Linear(width, 2 * width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        for layer in (self.level, self.last, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("scale", torch.ones(config.dim))
        self.register_buffer("mean", torch.zeros(config.bins))
        self.register_buffer("basis", torch.zeros(config.bins, config.dim))
        self.register_buffer("table", rotary(config.frames, width // config.heads), persistent=False)
        rates = 2 * math.pi * torch.logspace(math.log10(0.25), math.log10(64), 64)
        self.register_buffer("rates", rates, persistent=False)

    def forward(
        self,
        x: Float[Tensor, "batch frames dim"],
        t: Float[Tensor, " batch"],
        text: Float[Tensor, "batch tokens text"],
        mask: Bool[Tensor, "batch tokens"],
    ) -> Float[Tensor, "batch frames dim"]:
        return self.velocity(self.hidden(x, t, self.text(text), mask), x, t)

    def velocity(
        self,
        hidden: Float[Tensor, "batch frames width"],
        x: Float[Tensor, "batch frames dim"],
        t: Float[Tensor, " #batch"],
    ) -> Float[Tensor, "batch frames dim"]:
        """What the states say beyond the best linear guess from `x` alone.

        Without that guess the network is busy with carrying the noise through to its output: after 1,000 steps it
        did not yet place a single strike where the text wants it.
        """
        t = t[:, None, None]
        gain = evened(t)
        return gain * ((2 * t - 1) * gain * x + self.leave(hidden))

    def hidden(
        self,
        x: Float[Tensor, "batch frames dim"],
        t: Float[Tensor, " #batch"],
        text: Float[Tensor, "batch tokens width"],
        mask: Bool[Tensor, "batch tokens"],
    ) -> Float[Tensor, "batch frames width"]:
        """The states that `leave` turns into the velocity, for text that went through `self.text` already.

        All rows may share one level.
        """
        angles = t[:, None] * self.rates
        given_level = self.time(torch.cat([angles.cos(), angles.sin()], -1))
        level, keys = self.level(given_level).unflatten(-1, (6, -1)), mask[:, None, None]
        frames = x.shape[1]
        table = self.table[0, :frames], self.table[1, :frames]
        h = self.enter(x * loudness(t[:, None, None])) + self.place[:frames]
        for block in self.blocks:
            h = block(h, level, text, keys, table)
        a, b = self.last(given_level).unsqueeze(1).chunk(2, -1)
        return F.layer_norm(h, h.shape[-1:]) * (1 + a) + b

    @classmethod
    def load(cls, folder: Path) -> "LatentFlow":
        """The flow kept in a folder, frozen, in evaluation mode and single precision."""
        from safetensors.torch import load_file

        model = cls(FlowConfig(**json.loads((folder / "config.json").read_text())))
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` in half precision and `config.json`."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.half() for name, value in self.state_dict().items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
