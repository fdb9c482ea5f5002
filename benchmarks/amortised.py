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
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from amortised_explainer import Amortised, fingerprint, states
from amortised_learning import error, learn, stack
from amortised_tables import ONE_PASS, mean, tables
from laboratory_measures import localisation
from machine import machine

from tagxai import storage
from tagxai.contract.attribution import Attribution
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.values import Generation
from tagxai.explaining.loading import load_generator, make_method
from tagxai.laboratory.language.streams import prompts
from tagxai.laboratory.sounds.splits import Split

TEACHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "occlusion, guided": ("occlusion", {"target": "guided"}),
    "occlusion, hidden": ("occlusion", {"target": "hidden"}),
    "kernel_shap, 64 subsets": ("kernel_shap", {"samples": 64}),
}


def teacher(name: str) -> Method:
    method, options = TEACHERS[name]
    return make_method(method, options)


def lesson(generator: Generator, generation: Generation, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """The network's input for a clip, and every teacher's scores for it, `[streams, frames, tokens]`."""
    hidden, embeddings = states(generator, generation)
    taught = {name: teacher(name).attribute(generator, generation).scores for name in names}
    return {"hidden": hidden[0], "embeddings": embeddings[0], **taught}


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


def figures(generator: Generator, explanation: Attribution) -> dict[str, float] | None:
    """Every metric for event words; None if no event word is known to act in this clip."""
    truth = generator.truth(explanation.generation)
    assert truth is not None
    return localisation(explanation, truth).get("event")


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
        lessons, others = (stack(each, name, unseen[0].timeline) for each in (seen, answers))
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


def at_least_one(text: str) -> int:
    """An argparse type: how many clips."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, not {text!r}")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=at_least_one, default=200, help="training clips")
    parser.add_argument("--validation", type=at_least_one, default=30, help="validation clips")
    parser.add_argument("--test", type=at_least_one, default=30, help="test clips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/amortised"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = load_generator("tiny")
    folder = storage.output_folder(options.out / bytes(fingerprint(generator).tolist()).hex()[:8])
    weights = train(generator, options.train, options.validation, options.seed, folder)
    found = tables(compare(generator, weights, options.test, options.seed, folder))
    where = f"{options.train} clips, seed {options.seed}; {machine(1)}"
    report = f"{found}\n\n{where}\n\n{weights.with_suffix('.json').read_text()}"
    (folder / "table.md").write_text(report)
    print(report)


if __name__ == "__main__":
    main()
