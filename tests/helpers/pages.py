"""Pages for the browser's tests, of values that need no model."""

from dataclasses import replace

import torch

from tagxai.contract.attribution import Attribution
from tagxai.contract.cost import Cost
from tagxai.contract.timeline import DelayPattern, LatentFrames
from tagxai.contract.values import Generation
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.listening import Track
from tagxai.report.content import content_of
from tagxai.report.page import render

RATE = 16000
LOUDEST = 0.9


def clip(prompt="a dog barks while rain falls", seconds=3.0, streams=4, frame_rate=50.0, loudness=LOUDEST):
    """A clip whose samples say where they are: they rise evenly from 0 to `loudness`."""
    tokens, spans, start = [], [], 0
    for word in prompt.split(" "):
        tokens.append(f"▁{word}")
        spans.append((start, start + len(word)))
        start += len(word) + 1
    frames = round(seconds * frame_rate)
    ramp = torch.linspace(0, loudness, round(seconds * RATE))[None]
    return Generation(
        prompt=prompt,
        tokens=(*tokens, "</s>"),
        spans=(*spans, (len(prompt), len(prompt))),
        waveform=ramp,
        sample_rate=RATE,
        timeline=DelayPattern(frames, frame_rate, tuple(range(streams))),
        seed=0,
        generator="ramp",
        record={"codes": torch.zeros(streams, frames, dtype=torch.long)},
        settings={"top_k": 250},
    )


NOISE = (0.97, 0.8, 0.5, 0.1)


def latent_clip():
    """A clip that was denoised, with what was recorded at four levels."""
    made = clip(frame_rate=25.0)
    record = {"latents": torch.zeros(made.frames, 2), "levels": torch.tensor(NOISE)}
    return replace(made, timeline=LatentFrames(made.frames, 25.0, len(NOISE)), record=record)


def attribution(of=None, method="audiogenx", seed=0, is_mask=True, streams=None, **more):
    """Random scores, smooth in time; a mask, or numbers of both signs."""
    of = of or clip()
    random = torch.Generator().manual_seed(seed)
    raw = torch.randn(streams or of.streams, of.frames, len(of.tokens), generator=random)
    smooth = torch.nn.functional.avg_pool1d(raw.transpose(1, 2), 9, stride=1, padding=4).transpose(1, 2)
    scores = (2 * smooth).sigmoid() if is_mask else smooth
    cost = Cost(seconds=1.5, forward_passes=20)
    return Attribution(
        of, scores, method, {"seed": seed}, is_mask=is_mask, merge="mean" if is_mask else "sum", cost=cost, **more
    )


def explanation(of=None, **more):
    """An explanation with a factual clip, which falls as the original rises, and silence without the prompt."""
    found = attribution(of, **more)
    wave = found.generation.waveform
    tracks = [
        Track("factual", "factual", 0, -wave, RATE),
        Track("counterfactual", "counterfactual", 0, wave / 2, RATE),
        Track("unconditional", "unconditional", 0, wave * 0, RATE),
    ]
    return Explanation(found, [(0.5, 1.0)], tracks, "heard: dog, rain; as asked")


def comparison(of=None):
    of = of or clip()
    spread = attribution(of, method="shapley", seed=1, is_mask=False)
    spread = replace(spread, deviation=spread.scores.abs() / 3)
    found = {
        "audiogenx": explanation(of),
        "shapley": replace(explanation(of), attribution=spread),
        "daam": explanation(of, method="daam", seed=2, streams=1),
    }
    return Comparison(found, {"lime": "method 'lime' ran out of time"}, 2.0)


def write(value, file):
    """The page of a value, or HTML as it is, in a file."""
    file.write_text(value if isinstance(value, str) else render(content_of(value)), encoding="utf-8")
    return file
