"""Is an amortised explainer worth having? Train on the embedded model, select on validation, compare with the truth.

    uv run python benchmarks/amortised.py [--train 200] [--validation 30] [--test 30] [--out out/amortised]

One command does all of this, and resumes where it stopped. Training clips come from the laboratory's train split; the
teacher and the number of epochs are chosen on the validation split; the test split is only reported. Everything that
depends on the generator's weights is kept in a folder named after them, so a retrained model starts afresh. The chosen
network is saved there as amortised-*.safetensors; the tables are printed, and written next to it. Seconds are CPU time
of the process on one thread, the measure that a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from amortised_explainer import NAMES, Amortised, at_frames, fingerprint, predict, states
from jaxtyping import Bool, Float
from laboratory import cell, measure
from torch.nn.utils.rnn import pad_sequence

from tagxai import storage
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation
from tagxai.explaining.loading import load_generator, make_method
from tagxai.laboratory.language.streams import prompts
from tagxai.laboratory.sounds.splits import Split
from tagxai.metrics.bootstrap import Interval, bootstrap

TEACHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "occlusion, guided": ("occlusion", {"target": "guided"}),
    "occlusion, hidden": ("occlusion", {"target": "hidden"}),
    "kernel_shap, 64 subsets": ("kernel_shap", {"samples": 64}),
}
ONE_PASS = ("cross_attention", "alti")
"""Methods of one forward pass, which need no training: what an amortised explainer has to beat."""
METRICS = ("hit@1", "pointing game", "average precision")


class Lessons(NamedTuple):
    """Training clips of one length; `real` is False on padding."""

    hidden: Float[torch.Tensor, "clips steps dim"]
    embeddings: Float[torch.Tensor, "clips tokens dim"]
    real: Bool[torch.Tensor, "clips tokens"]
    effects: Float[torch.Tensor, "clips codebooks frames tokens"]
    delays: tuple[int, ...]


def teacher(name: str) -> Method:
    method, options = TEACHERS[name]
    return make_method(method, options)


def lesson(generator: Generator, generation: Generation, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """The network's input for a clip, and every teacher's scores for it, `[codebooks, frames, tokens]`."""
    hidden, embeddings = states(generator, generation)
    said = {name: teacher(name).attribute(generator, generation).scores for name in names}
    return {"hidden": hidden[0], "embeddings": embeddings[0], **said}


def clips(generator: Generator, split: Split, indices: Sequence[int], seed: int, label: str) -> Iterator[Generation]:
    """The split's clips with these indices; their seeds are `seed + index`."""
    asked = prompts(split, max(indices, default=-1) + 1, seed)
    for done, index in enumerate(indices):
        print(f"\r{label}: clip {done + 1} of {len(indices)} ", end="", file=sys.stderr, flush=True)
        yield generator.generate(asked[index].text, seed=seed + index)
    print(file=sys.stderr)


def collect(generator: Generator, count: int, seed: int, folder: Path) -> list[dict[str, torch.Tensor]]:
    """Lessons of the train split, each saved to a file."""
    files = [folder / f"train-{seed}-{index}.safetensors" for index in range(count)]
    missing = [index for index, file in enumerate(files) if not file.is_file()]
    for index, clip in zip(missing, clips(generator, "train", missing, seed, "to learn from"), strict=True):
        storage.write_tensors(files[index], lesson(generator, clip, list(TEACHERS)))
    return [storage.read_tensors(file) for file in files]


def stack(found: Sequence[Mapping[str, torch.Tensor]], name: str, delays: tuple[int, ...]) -> Lessons:
    """Join the lessons of one teacher."""

    def padded(parts: list[torch.Tensor]) -> torch.Tensor:
        return pad_sequence(parts, batch_first=True)

    return Lessons(
        torch.stack([each["hidden"] for each in found]),
        padded([each["embeddings"] for each in found]),
        padded([torch.ones(len(each["embeddings"]), dtype=torch.bool) for each in found]),
        padded([each[name].movedim(-1, 0) for each in found]).movedim(1, -1),
        delays,
    )


def first_weights(lessons: Lessons, units: int, random: torch.Generator) -> dict[str, torch.Tensor]:
    """Random weights, with the scales of inputs and effects found in the lessons."""
    dim, codebooks = lessons.hidden.shape[-1], lessons.effects.shape[1]
    tokens, effects = lessons.embeddings[lessons.real], lessons.effects.movedim(-1, 1)[lessons.real]

    def parameter(rows: int, columns: int) -> torch.Tensor:
        return (torch.randn(rows, columns, generator=random) / columns**0.5).requires_grad_()

    matrices = {"A": parameter(units, dim), "B": parameter(units, dim), "U": parameter(units, units)}
    matrices["W"] = (parameter(codebooks, units).detach() / 10).requires_grad_()  # starts near no effect
    biases = {name.lower(): torch.zeros(len(matrix), requires_grad=True) for name, matrix in matrices.items()}
    return {
        **matrices,
        **biases,
        "hidden_mean": lessons.hidden.mean((0, 1)),
        "hidden_scale": lessons.hidden.std((0, 1)) + 1e-6,
        "embedding_mean": tokens.mean(0),
        "embedding_scale": tokens.std(0) + 1e-6,
        "effect_scale": effects.std() + 1e-12,
    }


def error(weights: Mapping[str, torch.Tensor], lessons: Lessons, dropout: float = 0.0) -> torch.Tensor:
    """The mean squared error over all real tokens and codes, divided by the mean square of the effects."""
    effects = predict(weights, lessons.hidden, lessons.embeddings, dropout)
    effects = at_frames(effects, lessons.delays, lessons.effects.shape[2])
    wrong = ((effects - lessons.effects) / weights["effect_scale"]).square().movedim(-1, 1)
    return wrong[lessons.real].mean()


def learn(
    lessons: Lessons,
    unseen: Lessons,
    *,
    units: int = 64,
    epochs: int = 12,
    learning_rate: float = 2e-3,
    weight_decay: float = 0.01,
    dropout: float = 0.2,
    batch: int = 4,
    seed: int = 0,
    on_epoch: Callable[[int, float], None] = lambda epoch, error: None,
) -> dict[str, torch.Tensor]:
    """Train, and return the weights of the epoch that is closest to the teacher on the clips `unseen`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of dropout
        random = torch.Generator().manual_seed(seed)
        weights = first_weights(lessons, units, random)
        learned = [weights[name] for name in NAMES]
        optimiser = torch.optim.AdamW(learned, learning_rate, weight_decay=weight_decay)
        total = epochs * -(-len(lessons.hidden) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=total, pct_start=0.1)
        least, best = float("inf"), weights
        for epoch in range(epochs):
            for rows in torch.randperm(len(lessons.hidden), generator=random).split(batch):
                part = Lessons(*(tensor[rows] for tensor in lessons[:4]), lessons.delays)
                optimiser.zero_grad()
                error(weights, part, dropout).backward()
                optimiser.step()
                schedule.step()
            with torch.no_grad():
                found = error(weights, unseen).item()
            on_epoch(epoch + 1, found)
            if found < least:
                least, best = found, {name: tensor.detach().clone() for name, tensor in weights.items()}
    return best


def figures(generator: Generator, explanation: Attribution) -> dict[str, float] | None:
    """Every metric for event words; None if no event word is known to act in this clip."""
    truth = generator.truth(explanation.generation)
    assert truth is not None
    return measure(explanation, truth).get("event")


def train(generator: Generator, count: int, validation: int, seed: int, folder: Path) -> Path:
    """Train one network per teacher, and keep the one that is best by the truth of the validation split.

    An earlier network trained on as many clips is reused.
    """
    path = folder / f"amortised-{count}-{validation}-{seed}.safetensors"
    if path.is_file():
        return path
    seen = collect(generator, count, seed, storage.output_folder(folder / "lessons"))
    unseen = list(clips(generator, "validation", range(validation), seed, "to choose on"))
    answers = [lesson(generator, clip, list(TEACHERS)) for clip in unseen]
    choices: dict[str, dict[str, float]] = {}
    for name in TEACHERS:
        lessons, others = (stack(each, name, generator.delays) for each in (seen, answers))
        weights = learn(lessons, others, seed=seed, on_epoch=partial(tell, name))
        candidate = folder / f"candidate-{len(choices)}.safetensors"
        storage.write_tensors(candidate, {**weights, "generator": fingerprint(generator)})
        student = [Amortised(str(candidate)).attribute(generator, clip) for clip in unseen]
        own = [Attribution(clip, each[name], name) for clip, each in zip(unseen, answers, strict=True)]
        with torch.no_grad():
            nothing = others.effects.movedim(-1, 1)[others.real].square().mean() / weights["effect_scale"].square()
            explained = 1 - error(weights, others).item() / nothing.item()
        choices[name] = {
            "explained of the teacher's effects": explained,
            "average precision": average_precision(generator, student),
            "average precision of the teacher": average_precision(generator, own),
        }
        print(f"\n{choices[name]}", file=sys.stderr)
    chosen = max(choices, key=lambda name: choices[name]["average precision"])
    storage.write_json(path.with_suffix(".json"), {"teacher": chosen, "on validation clips": choices})
    (folder / f"candidate-{list(choices).index(chosen)}.safetensors").replace(path)
    for left in folder.glob("candidate-*.safetensors"):
        left.unlink()
    return path


def tell(name: str, epoch: int, found: float) -> None:
    print(f"\r{name}: epoch {epoch}, error on clips to choose on {found:.3f} ", end="", file=sys.stderr, flush=True)


def average_precision(generator: Generator, explanations: Sequence[Attribution]) -> float:
    found = [figures(generator, explanation) for explanation in explanations]
    return mean([each["average precision"] for each in found if each])


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def compare(generator: Generator, weights: Path, count: int, seed: int, folder: Path) -> dict[str, Any]:
    """The explainer, its teacher and others on the test split, clip by clip; resumes from the files on disk."""
    taught_by = storage.read_json(weights.with_suffix(".json"))["teacher"]
    methods = {
        "amortised": Amortised(str(weights)),
        f"teacher: {taught_by}": teacher(taught_by),
        **{name: make_method(name) for name in ("audiogenx", *ONE_PASS, "random")},
    }
    path = folder / f"test-{storage.sha256(weights)[:8]}.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for clip in clips(generator, "test", range(count), seed, "to compare on"):
        record = kept.setdefault(str(clip.seed), {"prompt": clip.prompt, "methods": {}})
        for name, method in methods.items():
            if name in record["methods"]:
                continue
            method.attribute(generator, clip)  # what a first call alone takes is nobody's cost
            started = time.process_time()
            explanation = method.attribute(generator, clip)
            seconds = time.process_time() - started
            record["methods"][name] = {"seconds": seconds, "figures": figures(generator, explanation)}
        storage.write_json(path, kept)
    return kept


def ruled_out(difference: Interval, seconds: float, own: float, *, one_pass: bool) -> bool:
    """Whether another method makes the explainer superfluous.

    Such a method is better beyond chance, or is as good in one pass and takes at most half as much time again.
    """
    better = difference.high < 0
    as_good = one_pass and difference.low <= 0 and seconds <= 1.5 * own
    return better or as_good


def tables(kept: Mapping[str, Any]) -> str:
    records = [each["methods"] for each in kept.values() if each["methods"]["amortised"]["figures"]]
    if not records:
        return f"No word of an event is confirmed in any of the {len(kept)} test clips; take more."
    names = list(records[0])

    def column(name: str, metric: str) -> list[float]:
        return [record[name]["figures"][metric] for record in records]

    seconds = {name: sorted(record[name]["seconds"] for record in records)[len(records) // 2] for name in names}
    lines = [f"{len(records)} test clips with confirmed words of events, of {len(kept)}.", ""]
    lines += ["| method | " + " | ".join(METRICS) + " | CPU ms a clip |", "|---" * (len(METRICS) + 2) + "|"]
    for name in sorted(names, key=lambda name: -mean(column(name, "average precision"))):
        cells = [cell(column(name, metric)) for metric in METRICS]
        lines.append("| " + " | ".join([name, *cells, f"{1000 * seconds[name]:.0f}"]) + " |")
    lines += ["", "### The explainer minus another, clip by clip", ""]
    lines += ["| other | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 1) + "|"]
    against = []
    for name in names[1:]:
        found = {
            metric: bootstrap(torch.tensor(column("amortised", metric)), torch.tensor(column(name, metric)))
            for metric in METRICS
        }
        cells = [f"{each.mean:+.2f} [{each.low:+.2f}, {each.high:+.2f}]" for each in found.values()]
        lines.append("| " + " | ".join([name, *cells]) + " |")
        if ruled_out(found[METRICS[-1]], seconds[name], seconds["amortised"], one_pass=name in ONE_PASS):
            against.append(name)
    verdict = f"no, not beside {', '.join(against)}" if against else "yes"
    return "\n".join([*lines, "", f"Does it earn its place, by average precision and cost? {verdict}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=200, help="training clips")
    parser.add_argument("--validation", type=int, default=30, help="validation clips")
    parser.add_argument("--test", type=int, default=30, help="test clips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/amortised"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = load_generator("tiny")
    folder = storage.output_folder(options.out / bytes(fingerprint(generator).tolist()).hex()[:8])
    weights = train(generator, options.train, options.validation, options.seed, folder)
    found = tables(compare(generator, weights, options.test, options.seed, folder))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    where = f"{options.train} clips, seed {options.seed}; {platform.machine()}, 1 thread, commit {commit}"
    report = f"{found}\n\n{where}\n\n{weights.with_suffix('.json').read_text()}"
    (folder / "table.md").write_text(report)
    print(report)


if __name__ == "__main__":
    main()
