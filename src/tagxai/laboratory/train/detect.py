"""Stage `detector`: trained on synthesised clips only, tested on these and on the codec's reconstructions of them.

The detector is the judge, not the judged: it hears all combinations of events, including those held out from the
language model. A detector trained without these missed a tenth of the events in them. It never hears the codec in
training, so that its recall on reconstructions judges the codec and not its own adaptation to it.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import EncodecModel

from tagxai.laboratory import CLIP_FRAMES
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.sounds.scenes import scenes
from tagxai.laboratory.sounds.splits import Split
from tagxai.laboratory.sounds.synthesis import EVENTS
from tagxai.laboratory.train.checkpoints import load, save
from tagxai.laboratory.train.codec import assemble, latent_space
from tagxai.laboratory.train.latents import LatentSpace
from tagxai.laboratory.train.loop import report, schedule
from tagxai.lazy import Float

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Labelled(NamedTuple):
    """Clips and, per frame, which events are audible in them."""

    waveform: Float[Tensor, "clips samples"]
    audible: Float[Tensor, "clips frames events"]


def labelled(count: int, split: Split | None, seed: int) -> Labelled:
    """Rendered clips with their truth, in half precision; without a split all combinations, and one clip in twenty
    silent."""
    rng = np.random.default_rng([seed, split is None])
    sources = [scenes(part, [seed, number, 7]) for number, part in enumerate(SPLITS if split is None else [split])]
    waveforms, audible = [], torch.zeros(count, CLIP_FRAMES, len(EVENTS), dtype=torch.half)
    for row in range(count):
        scene = next(sources[row % len(sources)])
        clip = scene.render(rng)
        silent = split is None and rng.random() < 0.05
        waveforms.append((clip.waveform * (not silent)).astype(np.float16))
        for event, frames in zip(scene.events, clip.audible, strict=True):
            if not silent:
                audible[row, torch.from_numpy(frames), EVENTS.index(event)] = 1
    return Labelled(torch.from_numpy(np.stack(waveforms)), audible)


@torch.no_grad()
def reconstruct(
    codec: EncodecModel, space: LatentSpace, waveform: Float[Tensor, "clips samples"]
) -> Float[Tensor, "clips samples"]:
    """Clips as the codec's decoder makes them from exact codes, which is how generated audio comes about."""
    parts = []
    for part in waveform.split(32):
        latents = space.decode(space.encode(space.latents(part.float())))
        parts.append(codec.decoder(latents.transpose(1, 2))[:, 0].to(waveform.dtype))
    return torch.cat(parts)


def train(out: Path, steps: int = 2000, clips: int = 5000, seed: int = 0, batch: int = 32) -> EventDetector:
    """Train or resume the detector; checkpoints in `out/detector.pt`, the result in `out/detector/`."""
    torch.manual_seed(seed)
    say, path = report("detector"), out / "detector.pt"
    data, test = labelled(clips, None, seed), labelled(500, "test", seed)
    codec, space = assemble(out), latent_space(out, seed)
    tests = {"synthesised": test, "reconstructed": Labelled(reconstruct(codec, space, test.waveform), test.audible)}
    model = EventDetector()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    first = 0
    if state := load(path):
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    say(len(data.waveform), "clips ready, from step", first)
    generator = torch.Generator().manual_seed(seed + first)
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * schedule(step, steps)
        waveform, audible = mixed(data, batch, generator)
        logits = model.logits(model.spectrum(augment(waveform, generator)))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, audible)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 250 == 0 or step + 1 == steps:
            save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}, path)
            say(step + 1, f"loss {loss.item():.4f}", {name: summary(model, part) for name, part in tests.items()})
    (out / "detector").mkdir(exist_ok=True)
    model.eval().save(out / "detector")
    for name, part in tests.items():
        say(name, "recall per event", recall(model, part))
    return model


def mixed(data: Labelled, count: int, generator: torch.Generator) -> Labelled:
    """A batch in which every fourth clip is the sum of two: whether an event is heard must not depend on the others."""
    first, second = (torch.randint(len(data.waveform), (count,), generator=generator) for _ in range(2))
    both = (torch.arange(count) % 4 == 0).float()[:, None]
    waveform = data.waveform[first].float() + both * data.waveform[second].float()
    audible = torch.maximum(data.audible[first].float(), both[..., None] * data.audible[second].float())
    return Labelled(waveform, audible)


def augment(waveform: Float[Tensor, "batch samples"], generator: torch.Generator) -> Float[Tensor, "batch samples"]:
    """Another level (8 dB less to 6 dB more) and some white noise, 80 to 45 dB below full scale."""
    count = len(waveform)
    gain = 10 ** (torch.empty(count, 1).uniform_(-8, 6, generator=generator) / 20)
    noise = 10 ** (torch.empty(count, 1).uniform_(-80, -45, generator=generator) / 20)
    return waveform * gain + noise * torch.randn(waveform.shape, generator=generator)


@torch.no_grad()
def _heard(model: EventDetector, data: Labelled) -> tuple[Tensor, Tensor, Tensor]:
    """Presence heard, presence true `[clips, events]`, and frame-wise agreement."""
    training = model.training
    model.eval()
    probability = torch.cat([model(part.float()) for part in data.waveform.split(64)])
    model.train(training)
    heard = probability.topk(3, dim=1).values.mean(1) > 0.5
    return heard, data.audible.amax(1) > 0, ((probability > 0.5) == (data.audible > 0)).float().mean()


def summary(model: EventDetector, data: Labelled) -> dict[str, float]:
    heard, true, frames = _heard(model, data)
    return {
        "recall": round(float((heard & true).sum() / true.sum()), 3),
        "precision": round(float((heard & true).sum() / heard.sum().clamp(min=1)), 3),
        "frames": round(float(frames), 4),
    }


def recall(model: EventDetector, data: Labelled) -> dict[str, float]:
    heard, true, _ = _heard(model, data)
    return {event: round(float((heard & true)[:, i].sum() / true[:, i].sum()), 3) for i, event in enumerate(EVENTS)}
