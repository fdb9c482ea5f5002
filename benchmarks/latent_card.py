"""Does the embedded model `latent` do what it is asked? The part of `tiny_model_card.py` that is about it.

Prompts, judge, meters and interventions are those of `tiny`. Interventions are coupled: the clip that was asked for,
the one with other words and the one without them have one noise.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tagxai.contract.request import Request
from tagxai.contract.values import Generation
from tagxai.generators.latent import LatentEmbedded
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.judging.events import MARGIN, attributes, bars, judge
from tagxai.laboratory.judging.interventions import intervene
from tagxai.laboratory.language.prompt import Mention, Prompt
from tagxai.laboratory.sounds.splits import Split
from tagxai.laboratory.sounds.styles import VALUES
from tagxai.metrics.intervals import clopper_pearson

BARS: dict[str, tuple[str, float]] = {
    "recall": (">=", 0.95),
    "false_presence": ("<=", 0.03),
    "order": (">=", 0.95),
    "negation": (">=", 0.9),
    **{f"attribute_{kind}": (">=", 0.8) for kind in VALUES},
    "causal_confirmation": (">=", 0.95),
}
"""What the model has to reach on held-out combinations."""

TRIPLE = 3
"""Clips of an intervention: as asked, with other words, without the words."""


class Maker:
    """Makes clips, each `share` of them from one noise, and keeps them."""

    def __init__(self, generator: LatentEmbedded, share: int, sampling: dict[str, Any]) -> None:
        self.generator, self.share, self.sampling = generator, share, sampling
        self.clips: list[Generation] = []

    def __call__(self, texts: Sequence[str], seed: int) -> Float[Tensor, "batch samples"]:
        asked = [self._request(text, seed + i // self.share) for i, text in enumerate(texts)]
        self.clips = self.generator.generate_many(asked)
        return torch.stack([clip.waveform[0] for clip in self.clips])

    def _request(self, text: str, seed: int) -> Request:
        """A prompt of one event alone has nothing left without its words: then the model is given no prompt."""
        if text.strip():
            return Request(text, None, seed, settings=self.sampling)
        return Request("nothing", None, seed, branch="unconditional", settings=self.sampling)


def share_in_slot(generator: LatentEmbedded, asked: Generation, without: Generation, mention: Mention) -> float | None:
    """How much of what moves (squared) lies in the slot of the event that was removed; None where that is the clip."""
    start, end = (round(second * asked.frame_rate) for second in (mention.start_s - MARGIN, mention.end_s + MARGIN))
    if start <= 0 and end >= asked.frames:
        return None
    moved = generator.distance(asked, without).square()
    return float(moved[max(0, start) : end].sum() / moved.sum())


def evaluate(
    weights: Path | None,
    asked: Sequence[Prompt],
    alone: Sequence[Prompt],
    changed: Sequence[Prompt],
    split: Split,
    seed: int,
    **sampling: Any,
) -> dict[str, Any]:
    """All figures: of clips of `asked`, attributes of `alone`, and interventions on `changed`."""

    def say(what: str) -> None:
        print(f"{time.perf_counter() - began:6.1f} s  {what}", file=sys.stderr, flush=True)

    began = time.perf_counter()
    generator, detector = LatentEmbedded.load(None if weights is None else str(weights)), EventDetector.load()
    make = Maker(generator, 1, sampling)
    say("generated clips")
    once = time.process_time()
    made = make([prompt.text for prompt in asked], seed)
    pace = (time.process_time() - once) / len(asked)
    judged = judge(detector, asked, made)
    measured = attributes(detector, alone, make([prompt.text for prompt in alone], seed + 1))
    say("interventions")
    coupled = Maker(generator, TRIPLE, sampling)
    table = intervene(detector, coupled, changed, np.random.default_rng(seed), seed)
    mentions = [mention for prompt in changed for mention in prompt.present]
    shares = [
        share_in_slot(generator, coupled.clips[TRIPLE * i], coupled.clips[TRIPLE * i + 2], mention)
        for i, mention in enumerate(mentions)
    ]
    in_slot = [share for share in shares if share is not None]
    confirmed = sum(row.confirmed for row in table)
    figures: dict[str, Any] = {
        **{name: judged[name] for name in ("recall", "false_presence", "order", "negation")},
        **{f"attribute_{kind}": measured.get(kind) for kind in VALUES},
        "causal_confirmation": round(confirmed / len(table), 4),
    }
    say("done")
    return {
        "model": "latent",
        "split": split,
        "seed": seed,
        "sampling": sampling,
        "bars": bars(figures, BARS),
        "generated": judged,
        "attributes": measured,
        "interventions": {
            "confirmed": figures["causal_confirmation"],
            "of": len(table),
            "interval": [round(share, 4) for share in clopper_pearson(confirmed, len(table), 0.025)],
            "prompts": len(changed),
            "failed": {
                "not heard when asked for": sum(row.asked <= 0.5 for row in table),
                "heard with other words": sum(row.asked > 0.5 < row.replaced for row in table),
                "heard without its words": sum(row.asked > 0.5 < row.removed for row in table),
            },
            "moved_in_the_events_own_slot": {
                "mean_share": round(sum(in_slot) / max(1, len(in_slot)), 4),
                "of": len(in_slot),
            },
            "rows": [row.to_dict() for row in table],
        },
        "cpu_seconds_per_clip": round(pace, 4),
    }
