"""How time and memory grow with a clip's length, its words, the number of clips and the model's layers.

    uv run python benchmarks/growth.py --out FOLDER [--shape small] [--methods NAMES] [--seconds 1 4 16]
        [--words 3 6 12] [--clips 1 2 4] [--layers 2 4 8] [--device cuda] [--dtype bfloat16]

One of the four varies at a time; the others stay at their first values, and at `--base-seconds`. An axis of one value
is left out. Weights are random (`full_size_shapes.py`), and methods explain half a second of codes again and again:
neither changes the work. For generating and for each method, in a process of its own: CPU seconds on one thread, after
a warm-up on half a second, and the peak of resident memory above that before. With `--device cuda`, seconds are the
clock's and memory is the card's. The exponent is the slope of a straight line through the logarithms, the relative one
that of the time divided by generating's: 0 means that a method keeps pace with generating. FOLDER gets growth.json,
which a second run continues, growth.md and growth.png; a page is of one shape, dtype and device. `--shape
musicgen-small` is the released model's size and takes hours.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from full_size_shapes import SHAPES, build
from growth_page import draw, markdown, of_model
from machine import machine

WORDS = ["a", "dog", "bark", "while", "rain", "fall", "then", "bird", "sing", "followed", "by", "thunder"]
GENERATING = "generating"
METHODS = (
    "cross_attention,alti_logit,input_x_gradient,integrated_gradients,occlusion,share_x_effect,audiogenx(epochs=5)"
)


def measure(shape: str, work: str, size: dict[str, float], device: str, dtype: str) -> dict[str, float]:
    """Seconds and peak memory in bytes of one kind of work at one size; on a CPU, runs in a new process."""
    import torch

    from tagxai.benchmark.entry_syntax import parse_methods
    from tagxai.contract.peak import peak_memory
    from tagxai.contract.request import Request

    torch.set_num_threads(1)
    generator = build(replace(SHAPES[shape], layers=int(size["layers"])), dtype)
    generator.model.to(device)
    words = [WORDS[place % len(WORDS)] for place in range(int(size["words"]))]

    def requests(seconds: float) -> list[Request]:
        return [Request(" ".join(words), seconds, seed) for seed in range(int(size["clips"]))]

    def clips(seconds: float) -> Any:
        return generator.generate_many(requests(seconds))

    # Long enough: for a few frames, a method may go another way, and load other code for it.
    warm_up = min(0.5, size["seconds"]) if work != GENERATING else 2 / generator.frame_rate
    if work == GENERATING:
        run = clips
    else:
        (entry,) = parse_methods(work)
        short = clips(warm_up)
        made = {warm_up: short, size["seconds"]: [repeated(generator, clip, size["seconds"]) for clip in short]}

        def run(seconds: float) -> Any:
            return entry.method().attribute_many(generator, made[seconds])

    def clock() -> float:
        if device == "cpu":
            return process_time()
        torch.cuda.synchronize()
        return perf_counter()

    run(warm_up)
    if device != "cpu":
        run(size["seconds"])  # the first of a size asks the driver for memory
        torch.cuda.reset_peak_memory_stats()
    before, started = peak_memory(), clock()
    run(size["seconds"])
    return {"seconds": clock() - started, "bytes": max(0, peak_memory() - before)}


def measured(context: Any, *work: Any) -> dict[str, float]:
    """As `measure`: on a CPU in a process of its own, as a process's memory has one peak; a card's can be reset."""
    *_, device, _ = work
    if device != "cpu":
        return measure(*work)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, *work).result()


def repeated(generator: Any, clip: Any, seconds: float) -> Any:
    """A clip of another length, whose codes are those of `clip` again and again: a method has the same work."""
    import torch

    frames, codes = round(seconds * generator.frame_rate), clip.record["codes"]
    return replace(
        clip,
        timeline=replace(clip.timeline, frames=frames),
        record={"codes": codes.repeat(1, -(-frames // clip.frames))[:, :frames]},
        waveform=torch.zeros(len(clip.waveform), round(seconds * clip.sample_rate)),
    )


def _load_libraries(shape: str) -> None:
    """Before processes are forked, so that each need not do so; on one thread, as others would not survive it."""
    import torch

    torch.set_num_threads(1)
    build(replace(SHAPES[shape], layers=1), "float32").generate("a dog", duration=0.1)


def sizes(arguments: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """For each axis, the sizes along it."""
    axes = {name: getattr(arguments, name) for name in ("seconds", "words", "clips", "layers")}
    base = {name: values[0] for name, values in axes.items()} | {"seconds": arguments.base_seconds}
    return {name: [{**base, name: value} for value in values] for name, values in axes.items() if len(values) > 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 4.0, 16.0])
    parser.add_argument("--base-seconds", type=float, default=1.0, help="of a clip, while the others vary")
    parser.add_argument("--words", type=int, nargs="+", default=[3, 6, 12])
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4, 8])
    arguments = parser.parse_args()
    from tagxai.benchmark.entry_syntax import split

    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "growth.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    context = get_context("fork" if "fork" in get_all_start_methods() else "spawn")
    if arguments.device == "cpu":
        _load_libraries(arguments.shape)
    model = f"{arguments.shape}, {arguments.dtype}, {arguments.device}"
    for axis, along in sizes(arguments).items():
        for size in along:
            for work in (GENERATING, *split(arguments.methods)):
                key = json.dumps([model, axis, work, size])
                if "seconds" in found.get(key, {}):
                    continue
                print(f"{axis} {size[axis]:g}: {work}", file=sys.stderr, flush=True)
                try:
                    found[key] = measured(context, arguments.shape, work, size, arguments.device, arguments.dtype)
                except Exception as error:  # one that cannot work must not end the run
                    found[key] = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
                partial = file.with_suffix(".partial")
                partial.write_text(json.dumps(found, indent=1) + "\n")
                partial.replace(file)
        write_page(of_model(found, model), arguments)


def write_page(found: dict[str, Any], arguments: argparse.Namespace) -> None:
    where = machine(1)
    if arguments.device == "cuda":
        import torch

        where = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    text = markdown(found, f"{arguments.shape}, {arguments.dtype}; {where}")
    (arguments.out / "growth.md").write_text(text)
    (arguments.out / "growth.png").write_bytes(draw(found))


if __name__ == "__main__":
    main()
