"""How a clip answers to gains on one event's words: heard or not, and how loud, over held-out prompts and seeds.

    uv run python benchmarks/dose_response.py --prompts 60 --seeds 2 --out OUT
    uv run python benchmarks/dose_response.py --generator latent --out OUT-latent

Every prompt names two sounds or more. The words of one of them, alternately the first and the last, get the gains 0,
.5, 1 and 2; the others keep theirs. How often the event is heard is over all clips, whether or not the plain clip (gain
1) has it, and so is each step from one gain to the next. How loud it is is a question of its own: it is asked of the
pairs of one seed in which the event is heard with the gain and without, since the level of a sound that is not there is
that of the silence, or of the others. Intervals are 95 % bootstrap intervals over prompts, with the seeds of a prompt
kept together. The last table parts the prompts by their words for loudness and distance: "quiet", turned up, asks for
less.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

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

Loudness = Literal["none", "loud or near", "quiet or far"]
Interval = tuple[float, float, float]
"""A mean and its interval."""


@dataclass(frozen=True)
class Case:
    """A prompt, and which of its mentions is turned up and down."""

    prompt: Prompt
    edited: Mention

    @property
    def loudness(self) -> Loudness:
        """What its attributes ask of its level."""
        values = {each.value for each in self.edited.attributes}
        return "loud or near" if values & {"loud", "near"} else "quiet or far" if values & {"quiet", "far"} else "none"

    @property
    def words(self) -> str:
        """All words of the mention, attributes included."""
        ends = [(self.edited.start_char, self.edited.end_char)]
        ends += [(each.start_char, each.end_char) for each in self.edited.attributes]
        return self.prompt.text[min(start for start, _ in ends) : max(end for _, end in ends)]


@dataclass(frozen=True)
class Answer:
    """What one clip has of the edited event and of the others; levels are relative to the plain clip, in dB.

    `left` is the level in the seconds that the prompt gives the event, whatever sounds there. `level` is the same where
    the event is heard in both clips, else None. `level_heard` compares each of those clips where the detector hears the
    event in it. (Places chosen by the plain clip alone would favour it: a clip sampled again has its barks at other
    moments.) `others_heard` is the share of the other events of the plain clip; None where it has none.
    """

    prompt: str
    seed: int
    gain: float
    loudness: Loudness
    heard: bool
    certainty: float
    others_heard: float | None
    left: float
    level: float | None
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
    """What each gain's clip has."""
    waves = torch.cat([clip.waveform.mean(0, keepdim=True) for clip in clips]).float().cpu()
    strength, plain = detector.strength(waves), GAINS.index(1.0)
    mine = detector.events.index(case.edited.event)
    others = [detector.events.index(each.event) for each in case.prompt.present if each.event != case.edited.event]
    others = [other for other in others if strength[plain, other] > HEARD]
    heard = strength[:, mine] > HEARD
    places = detector(waves)[..., mine] > HEARD
    slot = torch.zeros(places.shape[1], dtype=torch.bool)
    slot[round(case.edited.start_s * FRAME_RATE) : round(case.edited.end_s * FRAME_RATE)] = True
    left = [level(wave, slot) - level(waves[plain], slot) for wave in waves]
    own = [level(wave, where) - level(waves[plain], places[plain]) for wave, where in zip(waves, places, strict=True)]
    both = heard & heard[plain] & places.any(1) & places[plain].any()
    return [
        Answer(
            case.prompt.text,
            seed,
            gain,
            case.loudness,
            bool(heard[row]),
            float(strength[row, mine]),
            float((strength[row, others] > HEARD).float().mean()) if others else None,
            left[row],
            left[row] if both[row] else None,
            own[row] if both[row] else None,
        )
        for row, gain in enumerate(GAINS)
    ]


def level(wave: torch.Tensor, where: torch.Tensor) -> float:
    """The level of a clip in some of the detector's frames, in dB below full scale; silence is -80 dB."""
    samples = where.repeat_interleave(round(SAMPLE_RATE / FRAME_RATE))[: len(wave)]
    heard = wave[: len(samples)][samples].double().square()
    return float(10 * (heard.mean() + 1e-8).log10()) if len(heard) else -80.0


def interval(by_prompt: Mapping[str, Sequence[float]], rounds: int = 2000, seed: int = 0) -> Interval:
    """The mean over all values, and its 95 % interval when prompts are drawn again with all their seeds."""
    sums = torch.tensor([[sum(values), len(values)] for values in by_prompt.values()], dtype=torch.float64)
    drawn = torch.randint(len(sums), (rounds, len(sums)), generator=torch.Generator().manual_seed(seed))
    total = sums[drawn].sum(1)
    means = (total[:, 0] / total[:, 1]).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(sums[:, 0].sum() / sums[:, 1].sum()), float(means[0]), float(means[1])


def by_prompt(pairs: Iterable[tuple[str, float | None]]) -> dict[str, list[float]]:
    """The known values of each prompt."""
    found: dict[str, list[float]] = defaultdict(list)
    for prompt, value in pairs:
        if value is not None:
            found[prompt].append(value)
    return found


def summary(found: Sequence[Answer]) -> dict[str, dict[str, Interval]]:
    """For each gain, the interval of each figure."""
    figures: dict[str, Callable[[Answer], float | None]] = {
        "heard": lambda answer: float(answer.heard),
        "certainty": lambda answer: answer.certainty,
        "others heard": lambda answer: answer.others_heard,
        "level (dB)": lambda answer: answer.level,
        "level where heard (dB)": lambda answer: answer.level_heard,
        "what is left in its seconds (dB)": lambda answer: answer.left,
    }
    table: dict[str, dict[str, Interval]] = {}
    for gain in GAINS:
        mine = [answer for answer in found if answer.gain == gain]
        values = {name: by_prompt((each.prompt, of(each)) for each in mine) for name, of in figures.items()}
        table[f"{gain:g}"] = {name: interval(known) for name, known in values.items() if known}
    return table


def steps(found: Sequence[Answer]) -> dict[str, Interval]:
    """How much more often the event is heard with each gain than with the one before, pair by pair."""
    heard = {(answer.prompt, answer.seed, answer.gain): float(answer.heard) for answer in found}
    clips = {(answer.prompt, answer.seed): None for answer in found}
    return {
        f"{low:g} to {high:g}": interval(
            by_prompt((prompt, heard[prompt, seed, high] - heard[prompt, seed, low]) for prompt, seed in clips)
        )
        for low, high in pairwise(GAINS)
    }


def by_loudness(found: Sequence[Answer]) -> dict[str, dict[str, Interval]]:
    """The levels of the largest gain, by what the phrase asks of its level."""
    parted = {kind: summary([answer for answer in found if answer.loudness == kind]) for kind in get_args(Loudness)}
    names = ("level (dB)", "level where heard (dB)")
    largest = {kind: table[f"{GAINS[-1]:g}"] for kind, table in parted.items()}
    return {kind: {name: row[name] for name in names if name in row} for kind, row in largest.items()}


def markdown(first: str, table: Mapping[str, Mapping[str, Interval]]) -> str:
    names = list(dict.fromkeys(name for row in table.values() for name in row))
    lines = [f"| {first} | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
    for label, row in table.items():
        shown = {name: f"{mean:.2f} [{low:.2f}, {high:.2f}]" for name, (mean, low, high) in row.items()}
        cells = [shown.get(name, "–") for name in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", default="tiny")
    parser.add_argument("--prompts", type=int, default=60)
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
    table, more, parted = summary(found), steps(found), by_loudness(found)
    plain = [answer for answer in found if answer.gain == 1]
    about = (
        f"{given.generator}: {given.prompts} prompts x {given.seeds} seeds, {sum(each.heard for each in plain)} of "
        f"{len(plain)} with the event in the plain clip"
    )
    text = "\n".join(
        (
            f"{about};\n{machine(1)}.\n",
            markdown("gain", table),
            markdown("from gain to gain", {step: {"heard more often": change} for step, change in more.items()}),
            markdown(f"words for loudness, gain {GAINS[-1]:g}", parted),
        )
    )
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "dose_response.md").write_text(text, encoding="utf-8")
    content = {"about": about, "table": table, "steps": more, "by_loudness": parted}
    content["answers"] = [vars(answer) for answer in found]
    (given.out / "dose_response.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
