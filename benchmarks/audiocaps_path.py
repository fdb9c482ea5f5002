"""The whole path of `audiocaps.toml` on random weights of AudioGen's format, and what 1,000 captions would take.

    uv run python benchmarks/audiocaps_path.py --out FOLDER [--shape small] [--captions 8] [--metrics NAMES]
        [--duration 5] [--epochs 50]

Writes a random checkpoint in audiocraft's own format and AudioCaps' two lists of captions (invented ones), then runs
the plan of `audiocaps.toml` with that model: plan, clips, explanations, metrics, tables. A second run resumes. While it
runs, it counts what each method and metric asks of the model: clips sampled, and positions of teacher-forced passes.

From these counts follows an estimate, stage by stage, of the plan on 1,000 captions with AudioGen-medium on H100s, by
the same three limits as `full_size.py`: arithmetic at 35 % of 989 TFLOP/s, weights read at 60 % of 3.35 TB/s, and a
millisecond to launch each layer. "one by one" samples each clip alone, "batches" 64 at a time. Not in it: the codec,
the classifiers, the text encoder, files. Passes that are differentiated count three times.

`--shape audiogen-medium --dtype bfloat16` is the released size: about 8 GB of weights on disk. In full, it takes days
on a CPU: `--duration 0.1 --epochs 2` takes the same path with shorter clips and explainers that learn less. The
estimate needs the counts of a run in full, which those of `small` are.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter, defaultdict
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from audiocaps_estimate import table
from machine import machine

CAPTIONS = [
    "A dog barks while rain falls",
    "A man speaks as a car passes by",
    "Birds sing and water flows",
    "A siren wails in the distance",
    "Thunder rolls followed by heavy rain",
    "A bell rings several times",
    "An engine starts and idles",
    "People laugh and applaud",
]
FULL = {
    "transformer_lm": {"dim": 1536, "num_heads": 24, "num_layers": 48, "hidden_scale": 4, "card": 2048},
    "rvq": {"bins": 2048},
}
TOGETHER = "clips, and clips under masks"
METRICS = "mask_size,gini,sufficiency,kl_f(classifier=detector),fid_cf(classifier=detector)"


def write_lists(folder: Path, number: int) -> None:
    """test.csv and val.csv as AudioCaps has them; one clip is in both, so that it is left out."""
    rows = [[place, f"clip{place}", 30, f"{CAPTIONS[place % len(CAPTIONS)]}{' again' * (place // len(CAPTIONS))}"]
            for place in range(number)]  # fmt: skip
    seen = [number, "seen", 0, "A cat meows"]
    for name, own in (("test", [*rows, seen]), ("val", [seen])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["audiocap_id", "youtube_id", "start_time", "caption"], *own])


@contextmanager
def counting(counts: dict[str, Counter]):
    """Counts, while they run in this process, the clips of each method and metric, and the positions of their passes.

    A pass that is to be differentiated counts three times.
    """
    import torch

    from tagxai.benchmark import cells
    from tagxai.generators.audiocraft.model import AudioGenGenerator as Model
    from tagxai.methods.audiogenx import AudioGenX

    stage = [TOGETHER]
    kept = {(owner, name): getattr(owner, name) for owner, name in (
        (cells, "attribute"), (cells, "measure"), (AudioGenX, "explain_many"), (Model, "generate_many"),
        (Model, "_states"),
    )}  # fmt: skip

    def staged(owner: Any, name: str, label: Any) -> None:
        def call(*given: Any, **options: Any) -> Any:
            stage.append(label(*given, **options))
            started = perf_counter()
            try:
                return kept[owner, name](*given, **options)
            finally:
                counts[stage[-1]].update(times=1, seconds=perf_counter() - started)
                stage.pop()

        setattr(owner, name, call)

    def counted(name: str, work: Any) -> None:
        def call(self: Any, *given: Any, **options: Any) -> Any:
            counts[stage[-1]].update(work(*given, **options))
            return kept[Model, name](self, *given, **options)

        setattr(Model, name, call)

    def passes(columns: Any, *_: Any) -> dict[str, int]:
        times = 3 if torch.is_grad_enabled() else 1
        return {"positions": times * columns.shape[0] * columns.shape[-1], "calls": times}

    staged(cells, "attribute", lambda method, *_, label=None, **__: f"method {label}")
    staged(cells, "measure", lambda metric, *_, **__: f"metric {metric.name}")
    staged(
        AudioGenX, "explain_many", lambda method, _: f"method audiogenx, {method.mode}, {method.explainer or 'default'}"
    )
    counted("generate_many", lambda requests, **_: {"clips": len(requests)})
    counted("_states", passes)
    try:
        yield
    finally:
        for (owner, name), function in kept.items():
            setattr(owner, name, function)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shape", choices=("small", "audiogen-medium"), default="small")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--captions", type=int, default=8)
    parser.add_argument("--metrics", default=METRICS)
    parser.add_argument("--duration", type=float, help="seconds of a clip; default: the plan's")
    parser.add_argument("--epochs", type=int, help="of AudioGenX's explainers; default: the plan's")
    arguments = parser.parse_args()
    from tagxai.benchmark import results
    from tagxai.benchmark.plan_options import make_plan, read_options
    from tagxai.benchmark.running import run
    from tagxai.contract.peak import peak_memory
    from tagxai.report.benchmark import write_benchmark
    from tagxai.testing import random_audiocraft_checkpoint

    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(name: str):
        started = perf_counter()
        yield
        seconds[name] = perf_counter() - started
        print(f"{name}: {seconds[name]:.1f} s", flush=True)

    model = out / f"model-{arguments.shape}"
    with timed("checkpoint"):
        if not (model / "compression_state_dict.bin").is_file():
            larger = FULL if arguments.shape == "audiogen-medium" else {}
            random_audiocraft_checkpoint(model, changes={"dataset": {"segment_duration": 10}, **larger})
    write_lists(out, arguments.captions)
    content = read_options(Path(__file__).with_name("audiocaps.toml"))
    content |= {"generators": [f"audiogen:{model}"], "metrics": arguments.metrics, "device": "cpu"}
    content |= {"dtype": arguments.dtype, "threads": 1}
    if arguments.duration is not None:
        content["duration"] = arguments.duration
    if arguments.epochs is not None:
        content["methods"] = [
            each | {"epochs": arguments.epochs} if each["name"] == "audiogenx" else each for each in content["methods"]
        ]
    with timed("plan"):
        plan = make_plan(content, folder=out)
    assert len(plan.prompts) == arguments.captions, "the clip that both lists name is left out"
    counts: dict[str, Counter] = defaultdict(Counter)
    with timed("run"), counting(counts):
        run(plan, out / "bench")
    with timed("tables"):
        found = results.load(out / "bench")
        write_benchmark(found, out / "bench")
    file = out / "counts.json"
    for name, earlier in (json.loads(file.read_text()) if file.exists() else {}).items():
        counts[name].update(earlier)  # of a run that this one has continued
    file.write_text(json.dumps(counts, indent=1))
    in_full = arguments.duration is None and arguments.epochs is None
    heading = f"# AudioCaps' path: {arguments.shape}, {arguments.captions} captions"
    peak = f"peak memory {peak_memory() / 2**30:.1f} GiB"
    text = [heading, "", f"{machine(1)}, {arguments.dtype}, clips of {plan.duration:g} s; {peak}.", ""]
    text += ["| stage | seconds |", "| --- | --- |", *(f"| {name} | {each:.1f} |" for name, each in seconds.items())]
    text += ["", f"Cells: {', '.join(f'{number} {status}' for status, number in found.counts.items())}.", ""]
    text += table(counts, arguments.captions) if in_full else ["No estimate: its counts are of shorter work."]
    (out / "audiocaps_path.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))


if __name__ == "__main__":
    main()
