"""The cost of every method's full result, next to generating the clip, one teacher-forced pass, and captum's way.

    uv run python benchmarks/methods_cost.py [--models tiny small] [--seconds 1] [--threads 2] [--json FILE]

`tiny` is the embedded model. `small` has the shape of MusicGen-small (24 layers, 1024 wide, 4 codebooks of 2048 codes)
and random weights, at 25 frames per second, which makes no difference to the work. Every row runs in its own process,
after a warm-up on the shortest clip. Short rows run several times and the fastest counts, because a ratio of two single
runs says little on a busy machine. Peak memory is that process's highest resident size above what it had before.

"captum, each code" is the direct route to `[codebooks, frames, words]`: captum, asked for one code after another by
reverse mode or by perturbation. It is measured on a few codes, spread over the clip, and the seconds are scaled up to
all of them; such rows are marked "extrapolated". Its integrated gradients take as many points as ours, and its Kernel
SHAP as many subsets. The rows captum:NAME are captum with its own defaults, for one half-second window after another.
inseq has no row because it cannot explain MusicGen: version 0.7.1 (with transformers 5.23) refuses the model's
configuration by name ("not for this kind of AutoModel: AutoModelForSeq2SeqLM"). Given a loaded model whose config lends
it the special token ids that it asks for, it ends in a TypeError when it decodes the streams of audio codes as text.

The JSON file keeps every row as soon as it is measured; a second run measures only the missing rows (`--fresh` discards
the earlier ones). A Markdown table is written next to it.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter
from typing import Any

PROMPT = "a dog barks followed by rain falling"
LONG_PROMPT = "a dog barks while rain falls then a loud bell"  # 10 words, for exact Shapley values
SMALL = {
    "layers": 24,
    "heads": 16,
    "width": 1024,
    "feed_forward": 4096,
    "text_width": 768,
    "vocabulary": 2048,
    "max_steps": 1600,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "shapley, 10 words": {"exact_up_to": 11},  # `</s>` is one of them
    "integrated_gradients, reverse mode": {"mode": "reverse"},
}
SAMPLED_CODES = 3
LONG_ENOUGH, MOST_RUNS = 2.0, 10
"""Seconds after which a row is not run again, and how often it is run at most."""
PLAIN = "pass without logits"
DIRECT = {
    "captum, each code: IntegratedGradients": "IntegratedGradients",
    "captum, each code: Saliency": "Saliency",
    "captum, each code: FeatureAblation": "FeatureAblation",
    "captum, each code: KernelShap": "KernelShap",
}


def rows() -> list[str]:
    """The names of all rows of one model, references first."""
    from tagxai.registering.registry import registry

    known = registry()
    captums = [name for family in known.families.values() for name in family.summaries]
    captums.remove("captum:ShapleyValues")  # all orders of the words: for prompts of up to 6 units
    return [
        "generate",
        "pass",
        PLAIN,
        "pass of words + 1 rows",
        "generate, 10 words",
        "shapley, 10 words",
        "integrated_gradients, reverse mode",
        *known.methods,
        *captums,
        *DIRECT,
    ]


def load(model: str) -> Any:
    """Load `tiny`, `small`, or anything that `tagxai --generator` accepts."""
    from tagxai import load_generator
    from tagxai.testing import random_checkpoint

    if model != "small":
        return load_generator(model)
    folder = Path(gettempdir(), "tagxai-methods-cost-small")
    if not (folder / "config.json").is_file():
        random_checkpoint(folder, **SMALL)
    return load_generator(f"musicgen:{folder}")


def measure(model: str, row: str, seconds: float, threads: int) -> dict[str, Any]:
    """Seconds, peak memory (MiB) and passes of one row; runs in a new process."""
    import torch

    torch.set_num_threads(threads)
    generator = load(model)
    prompt = LONG_PROMPT if "10 words" in row else PROMPT
    short = generator.generate(prompt, duration=2 / generator.frame_rate, seed=0)
    run = work(generator, row, seconds)
    clip = short
    if not row.startswith("generate"):
        clip = generator.generate(prompt, duration=seconds, seed=0)
        run(short)  # warm up: first calls load kernels and libraries
    runs: list[tuple[float, dict[str, Any]]] = []
    with resident_memory() as peak:
        while not runs or (sum(taken for taken, _ in runs) < LONG_ENOUGH and len(runs) < MOST_RUNS):
            started = perf_counter()
            found = run(clip)
            runs.append((perf_counter() - started, found))
    taken, found = min(runs, key=lambda each: each[0])
    figures = {"seconds": taken, "runs": len(runs), "peak_mib": peak(), "codes": clip.codes.numel()}
    return {**figures, **found, **scaled(found, taken)}


def scaled(found: dict[str, Any], taken: float) -> dict[str, Any]:
    """The seconds for all codes, if only some were measured."""
    if "measured_codes" not in found:
        return {}
    shared = found.get("shared_seconds", 0.0)  # what is done once, however many codes there are
    each = (taken - shared) / found["measured_codes"]
    return {"seconds": shared + each * found["all_codes"], "extrapolated": True}


def work(generator: Any, row: str, seconds: float) -> Callable[[Any], dict[str, Any]]:
    """Do a row's work on a clip, and return what to report besides the time."""
    from functools import cache

    import torch

    from tagxai.registering.registry import registry
    from tagxai.text import words

    def generate(clip: Any) -> dict[str, Any]:
        generator.generate(clip.prompt, duration=seconds, seed=0)
        return {}

    def one_pass(clip: Any) -> dict[str, Any]:
        conditioning = generator.encode_prompt([clip.prompt])
        size = 1 + batch(clip.prompt, clip.token_spans, clip.tokens) if "words" in row else 1
        with torch.inference_mode():
            generator.forward(clip, conditioning.expand(size), log_prob=row != PLAIN)
        return {"passes": size}

    @cache  # counted while warming up: splitting words is no part of a pass
    def batch(prompt: str, spans: tuple[tuple[int, int], ...], tokens: tuple[str, ...]) -> int:
        return len(words.words(prompt, spans, tokens))

    def explain(clip: Any) -> dict[str, Any]:
        cost = method.attribute(generator, clip).cost
        return {"passes": sum(value for key, value in cost.items() if key.endswith("_passes")), "cost": dict(cost)}

    def explain_codes(clip: Any) -> dict[str, Any]:
        """Explain some codes one at a time, spread over codebooks and frames."""
        every = clip.codes.numel()
        chosen = [every * (2 * i + 1) // (2 * SAMPLED_CODES) for i in range(min(SAMPLED_CODES, every))]
        passes = sum(direct(generator, clip, DIRECT[row], *divmod(code, clip.frames)) for code in chosen)
        return {"passes": passes * every / len(chosen), "measured_codes": len(chosen), "all_codes": every}

    if row.startswith("generate"):
        return generate
    if row.startswith("pass"):
        return one_pass
    if row in DIRECT:
        return explain_codes
    method = registry().method(row.partition(",")[0]).configure(OPTIONS.get(row, {}))
    if "reverse mode" in row:
        return lambda clip: reverse_codes(generator, clip, method)
    return explain


def reverse_codes(generator: Any, clip: Any, method: Any) -> dict[str, Any]:
    """Integrated gradients of some codes, each by its own backward pass; all share the forward passes."""
    from dataclasses import replace

    import numpy as np
    import torch

    conditioning, every = generator.encode_prompt([clip.prompt]), clip.codes.numel()
    chosen = [every * (2 * i + 1) // (2 * SAMPLED_CODES) for i in range(min(SAMPLED_CODES, every))]
    forward = 0.0
    for place in np.polynomial.legendre.leggauss(method.points)[0].tolist():
        started = perf_counter()
        point = ((place + 1) / 2 * conditioning.embeddings).requires_grad_()
        outputs = generator.forward(clip, replace(conditioning, embeddings=point)).log_prob.flatten()
        forward += perf_counter() - started
        for code in chosen:
            torch.autograd.grad(outputs[code], point, retain_graph=True)
    passes = method.points * every
    return {"passes": passes, "measured_codes": len(chosen), "all_codes": every, "shared_seconds": forward}


def direct(generator: Any, clip: Any, algorithm: str, codebook: int, frame: int) -> int:
    """captum on one code's log-probability; returns the number of rows that it ran."""
    from dataclasses import replace

    import captum.attr
    import torch

    from tagxai.contract.attention import scale_values
    from tagxai.methods.integrated_gradients import IntegratedGradients
    from tagxai.methods.kernel_shap import KernelShap
    from tagxai.text import words

    conditioning, ran = generator.encode_prompt([clip.prompt]), 0
    units = words.words(clip.prompt, clip.token_spans, clip.tokens)

    def of_embeddings(embeddings: torch.Tensor) -> torch.Tensor:
        nonlocal ran
        ran += len(embeddings)
        rows = replace(conditioning.expand(len(embeddings)), embeddings=embeddings.to(conditioning.embeddings))
        return generator.forward(clip, rows).log_prob[:, codebook, frame]

    def of_words(kept: torch.Tensor) -> torch.Tensor:
        nonlocal ran
        ran += len(kept)
        values = torch.ones(len(kept), len(clip.tokens))
        for column, unit in enumerate(units):
            values[:, list(unit.tokens)] = kept[:, column, None]
        with torch.no_grad(), scale_values(generator.cross_attention(), values):
            return generator.forward(clip, conditioning.expand(len(kept))).log_prob[:, codebook, frame]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if algorithm in ("IntegratedGradients", "Saliency"):
            points = {"n_steps": IntegratedGradients().points, "internal_batch_size": 4}
            options = points if algorithm == "IntegratedGradients" else {}
            point = conditioning.embeddings.clone().requires_grad_()
            getattr(captum.attr, algorithm)(of_embeddings).attribute(point, **options)
        else:
            options = {"n_samples": KernelShap().samples} if algorithm == "KernelShap" else {}
            ones = torch.ones(1, len(units))
            getattr(captum.attr, algorithm)(of_words).attribute(ones, perturbations_per_eval=8, **options)
    return ran


@contextmanager
def resident_memory() -> Iterator[Callable[[], float]]:
    """Yields a function for the peak resident size since the start of the block, above the initial size, in MiB."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the earlier peak (Linux)
    before = status("VmRSS")
    yield lambda: status("VmHWM") - before


def status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def aims(rows: dict[str, dict[str, Any]]) -> list[tuple[str, float, str, bool]]:
    """(name, measured ratio, target, whether it is met), for the targets whose rows exist."""

    def ratio(above: str, below: str) -> float | None:
        found = [rows.get(name, {}).get("seconds") for name in (above, below)]
        return found[0] / found[1] if all(found) else None

    wanted = (
        ("leave-one-out / one batch of words + 1 passes", ratio("occlusion", "pass of words + 1 rows"), "<=", 1.2),
        (
            "integrated gradients: reverse mode per output / forward mode",
            ratio("integrated_gradients, reverse mode", "integrated_gradients"),
            ">=",
            15.0,
        ),
        ("exact Shapley values of 10 words / generating", ratio("shapley, 10 words", "generate, 10 words"), "<=", 2.0),
        ("capturing attention / a plain pass, both without logits", ratio("cross_attention", PLAIN), "<=", 1.05),
    )
    return [
        (what, found, f"{sign} {limit:g}", found <= limit if sign == "<=" else found >= limit)
        for what, found, sign, limit in wanted
        if found is not None
    ]


def markdown(results: dict[str, Any]) -> str:
    lines = [
        f"# What methods cost\n\n{PROMPT!r}, {results['seconds']:g} s; seconds beside those of generating the clip"
    ]
    lines += ["and of one teacher-forced pass over it. Failed rows tell why.\n"]
    for model, found in results["models"].items():
        lines += [
            f"## {model}\n",
            "| | seconds | of generating | of a pass | passes | peak MiB | |",
            "| --- |" + " --- |" * 6,
        ]
        generate, one = (found.get(name, {}).get("seconds") for name in ("generate", "pass"))
        for name, row in found.items():
            if "error" in row:
                lines.append(f"| {name} | | | | | | {row['error']} |")
                continue
            shares = ["" if not of else f"{row['seconds'] / of:.3g}" for of in (generate, one)]
            note = (
                f"extrapolated from {row['measured_codes']} of {row['all_codes']} codes"
                if "extrapolated" in row
                else ""
            )
            passes = f"{row['passes']:g}" if row.get("passes") else ""
            cells = (name, f"{row['seconds']:.3g}", *shares, passes, f"{row['peak_mib']:.0f}", note)
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", "| aim | found | wanted | met |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {what} | {value:.3g} | {wanted} | {'yes' if met else 'no'} |"
            for what, value, wanted, met in aims(found)
        ]
        machines = sorted({row["machine"] for row in found.values()})
        lines += ["", *machines, ""]
    return "\n".join(lines)


def machine(threads: int) -> str:
    from importlib.metadata import version

    here = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(here, capture_output=True, text=True).stdout.strip()
    return f"{platform.machine()}, {threads} thread(s), torch {version('torch')}, commit {commit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tiny", "small"], help="tiny, small, or NAME:SOURCE")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of the clip")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--only", nargs="+", help="measure only these rows")
    parser.add_argument("--json", type=Path, default=Path("methods_cost.json"))
    parser.add_argument("--fresh", action="store_true", help="measure again the rows that the file already has")
    arguments = parser.parse_args()

    from tagxai import TagxaiError
    from tagxai.registering.registry import registry

    try:
        for model in arguments.models:
            if model != "small":
                registry().generator(model.partition(":")[0])
    except TagxaiError as error:
        sys.exit(f"{error}; or small")
    results: dict[str, Any] = {"seconds": arguments.seconds, "models": {}}
    if arguments.json.is_file() and not arguments.fresh:
        results = json.loads(arguments.json.read_text())
        if results["seconds"] != arguments.seconds:
            sys.exit(f"{arguments.json} is of clips of {results['seconds']:g} s; give --fresh, or another --json")
    for model in arguments.models:
        found = results["models"].setdefault(model, {})
        for row in arguments.only or rows():
            if "seconds" in found.get(row, {}):
                continue
            print(f"{model}: {row} ...", file=sys.stderr, flush=True)
            try:
                with get_context("spawn").Pool(1) as pool:
                    found[row] = pool.apply(measure, (model, row, arguments.seconds, arguments.threads))
            except Exception as error:  # one method that cannot work must not end the run
                found[row] = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
            found[row]["machine"] = machine(arguments.threads)
            arguments.json.write_text(json.dumps(results, indent=2) + "\n")
            arguments.json.with_suffix(".md").write_text(markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
