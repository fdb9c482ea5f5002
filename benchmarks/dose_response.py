"""How a clip answers to gains on one event's words: heard or not, and how loud, over held-out prompts and seeds.

    uv run python benchmarks/dose_response.py --prompts 30 --seeds 2 --out OUT
    uv run python benchmarks/dose_response.py --generator latent --out OUT-latent

Every prompt names two sounds or more. The words of one of them, alternately the first and the last, get the gains 0,
.5, 1 and 2; the others keep theirs. An event counts where the plain clip (gain 1) has it. Intervals are 95 % bootstrap
intervals over prompts, with the seeds of a prompt kept together.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from machine import machine

from tagxai.contract.generator import Generator
from tagxai.contract.request import Request
from tagxai.contract.values import Generation
from tagxai.explaining.gains import token_gains
from tagxai.explaining.loading import load_generator
from tagxai.explaining.prompts import encode
from tagxai.laboratory import FRAME_RATE, SAMPLE_RATE
from tagxai.laboratory.judging.detector import EventDetector
from tagxai.laboratory.language.prompt import Mention, Prompt
from tagxai.laboratory.language.streams import prompts

GAINS = (0.0, 0.5, 1.0, 2.0)
HEARD = 0.5
"""The detector's certainty from which an event counts as heard."""
AT_ONCE = 16


@dataclass(frozen=True)
class Case:
    """A prompt, and which of its mentions is turned up and down."""

    prompt: Prompt
    edited: Mention

    @property
    def words(self) -> str:
        """All words of the mention, attributes included."""
        ends = [(self.edited.start_char, self.edited.end_char)]
        ends += [(each.start_char, each.end_char) for each in self.edited.attributes]
        return self.prompt.text[min(start for start, _ in ends) : max(end for _, end in ends)]


@dataclass(frozen=True)
class Answer:
    """What one clip has of the edited event and of the others.

    `level` is how much louder it is than the plain clip, in dB, in the seconds that the prompt gives the event.
    `level_heard` compares each clip where the detector hears the event in it; None where it does not. (Places chosen
    by the plain clip alone would favour it: a clip sampled again has its barks at other moments.)
    """

    prompt: str
    seed: int
    gain: float
    heard: bool
    certainty: float
    others_heard: float | None
    level: float
    level_heard: float | None


def cases(number: int, split: str) -> Iterator[Case]:
    """The first prompts of a split that name at least two sounds, each once."""
    found = 0
    for prompt in prompts(split, 20 * number):  # type: ignore[arg-type]
        if found < number and len(prompt.present) > 1 and not prompt.scene.absent:
            mentions = prompt.present
            yield Case(prompt, mentions[0] if found % 2 == 0 else mentions[-1])
            found += 1


def requests(model: Generator, case: Case, seed: int) -> list[Request]:
    """A request for each gain."""
    encoded = encode(model, case.prompt.text)
    positions = model.timeline(model.default_duration).positions
    made = []
    for gain in GAINS:
        factors = token_gains({case.words: gain}, case.prompt.text, encoded.spans[0], encoded.tokens[0])
        mask = torch.tensor(factors).expand(positions, -1).clone()
        made.append(Request(case.prompt.text, None, seed, mask, conditioning=encoded))
    return made


def answers(case: Case, seed: int, clips: Sequence[Generation], detector: EventDetector) -> list[Answer]:
    """What each gain's clip has, if the plain clip has the event at all."""
    waves = torch.cat([clip.waveform.mean(0, keepdim=True) for clip in clips]).float().cpu()
    strength, plain = detector.strength(waves), GAINS.index(1.0)
    mine = detector.events.index(case.edited.event)
    others = [detector.events.index(each.event) for each in case.prompt.present if each.event != case.edited.event]
    others = [other for other in others if strength[plain, other] > HEARD]
    if strength[plain, mine] <= HEARD:
        return []
    heard = detector(waves)[..., mine] > HEARD
    slot = torch.zeros_like(heard)
    slot[:, round(case.edited.start_s * FRAME_RATE) : round(case.edited.end_s * FRAME_RATE)] = True
    levels = [[level(wave, where) for wave, where in zip(waves, places, strict=True)] for places in (slot, heard)]
    return [
        Answer(
            case.prompt.text,
            seed,
            gain,
            bool(strength[row, mine] > HEARD),
            float(strength[row, mine]),
            float((strength[row, others] > HEARD).float().mean()) if others else None,
            levels[0][row] - levels[0][plain],
            levels[1][row] - levels[1][plain] if heard[row].any() and heard[plain].any() else None,
        )
        for row, gain in enumerate(GAINS)
    ]


def level(wave: torch.Tensor, where: torch.Tensor) -> float:
    """The level of a clip in some of the detector's frames, in dB below full scale; silence is -80 dB."""
    samples = where.repeat_interleave(round(SAMPLE_RATE / FRAME_RATE))[: len(wave)]
    heard = wave[: len(samples)][samples].double().square()
    return float(10 * (heard.mean() + 1e-8).log10()) if len(heard) else -80.0


def interval(by_prompt: Mapping[str, Sequence[float]], rounds: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """The mean over all values, and its 95 % interval when prompts are drawn again with all their seeds."""
    sums = torch.tensor([[sum(values), len(values)] for values in by_prompt.values()], dtype=torch.float64)
    drawn = torch.randint(len(sums), (rounds, len(sums)), generator=torch.Generator().manual_seed(seed))
    total = sums[drawn].sum(1)
    means = (total[:, 0] / total[:, 1]).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(sums[:, 0].sum() / sums[:, 1].sum()), float(means[0]), float(means[1])


def summary(found: Sequence[Answer]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """For each gain, the interval of each figure."""
    table: dict[str, dict[str, tuple[float, float, float]]] = {}
    for gain in GAINS:
        figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for answer in found:
            if answer.gain == gain:
                figures["heard"][answer.prompt].append(float(answer.heard))
                figures["certainty"][answer.prompt].append(answer.certainty)
                some = {"level (dB)": answer.level, "level where heard (dB)": answer.level_heard}
                for name, value in (some | {"others heard": answer.others_heard}).items():
                    if value is not None:
                        figures[name][answer.prompt].append(value)
        table[f"{gain:g}"] = {name: interval(values) for name, values in figures.items()}
    return table


def markdown(table: Mapping[str, Mapping[str, tuple[float, float, float]]], about: str) -> str:
    names = list(next(iter(table.values())))
    lines = [about, "", "| gain | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
    for gain, row in table.items():
        cells = [f"{mean:.2f} [{low:.2f}, {high:.2f}]" for mean, low, high in row.values()]
        lines.append(f"| {gain} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", default="tiny")
    parser.add_argument("--prompts", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model, detector = load_generator(given.generator), EventDetector.load()
    work = [(case, seed) for case in cases(given.prompts, given.split) for seed in range(given.seeds)]
    found: list[Answer] = []
    for first in range(0, len(work), AT_ONCE // len(GAINS)):
        part = work[first : first + AT_ONCE // len(GAINS)]
        clips = model.generate_many([each for case, seed in part for each in requests(model, case, seed)])
        for i, (case, seed) in enumerate(part):
            found += answers(case, seed, clips[i * len(GAINS) : (i + 1) * len(GAINS)], detector)
    table = summary(found)
    counted = len(found) // len(GAINS)
    about = (
        f"{given.generator}: {given.prompts} prompts x {given.seeds} seeds, {counted} with the event in the plain clip"
    )
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "dose_response.md").write_text(markdown(table, f"{about}; {machine(1)}."), encoding="utf-8")
    content = {"about": about, "table": table, "answers": [vars(answer) for answer in found]}
    (given.out / "dose_response.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(markdown(table, about))


if __name__ == "__main__":
    main()
