"""Writes the record that `tests/test_record.py` compares with: what commit 0314d4e computes.

To be run at that commit alone: a record that is written again at a later one compares the code with itself. The
program refuses to run where `src` or `plugins` differ from that commit. From a checkout of it, with these tests:

    OMP_NUM_THREADS=1 PYTHONPATH=tests/helpers uv run --no-sync python tests/record/make_record.py

It writes `record.json` and `record.safetensors` beside itself, and three folders as the command line saves them but
for pages and pictures, which no command reads.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMMIT = "0314d4e"
HERE = Path(__file__).parent
DERIVED = {".png", ".html"}


def main():
    os.environ["HF_HUB_OFFLINE"] = "1"
    changed = subprocess.run(["git", "diff", "--quiet", COMMIT, "--", "src", "plugins"], cwd=HERE, check=False)
    if changed.returncode:
        sys.exit(f"src or plugins differ from commit {COMMIT}, of which this record is; it is not to be written again")
    import record_numbers as numbers
    from record_cases import Models

    with tempfile.TemporaryDirectory() as scratch, numbers.one_thread():
        content, tensors = record(Models(Path(scratch)))
        folders(Path(scratch))
        content["questions"] = questions(Path(scratch))
    write(content, tensors)


def record(models):
    import record_cases as cases
    import record_numbers as numbers
    import torch
    import transformers

    content = {
        "commit": COMMIT,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "draws": numbers.draws(),
        "arithmetic": numbers.arithmetic(),
        "weights": {name: cases.weights_digest(models[name]) for name in cases.MODELS},
        "clips": {},
        "scores": {},
        "metrics": {},
    }
    tensors = {}
    clips = {name: clip.make(models) for name, clip in cases.CLIPS.items()}
    for name, clip in clips.items():
        content["clips"][name] = cases.access.text_of(clip)
        tensors |= cases.of_clip(clip, f"clip/{name}")
    for model in cases.MODELS:
        for case in cases.SAMPLING:
            tensors |= cases.of_clip(cases.sampled(models[model], case), f"generation/{model}/{case}")
        for case in cases.PASSES:
            tensors[f"pass/{model}/{case}"] = cases.passed(models[model], case)
    for clip, method, settings in cases.methods():
        answer = cases.answer(models, clips, clip, method, settings)
        key = cases.label(clip, method, settings)
        content["scores"][key] = {"clip": clip, "method": method, "settings": settings, **answer.text}
        tensors |= {f"{kind}/{key}": tensor for kind, tensor in answer.tensors.items()}
    for method in cases.VIEWED:
        explained = cases.explained(models, clips, method)
        views = cases.access.views_of(explained, *cases.VIEW)
        tensors |= {f"view/{method}/{name}": tensor for name, tensor in views.items()}
        for metric, settings in cases.metrics():
            value = cases.access.measured(metric, settings, models["tiny"], explained)
            key = cases.label(method, metric, settings)
            content["metrics"][key] = {"explained": method, "metric": metric, "settings": settings, "value": value}
    return content, tensors


def folders(scratch):
    import record_cases as cases

    (scratch / "prompts.txt").write_text(cases.FOLDER_PROMPT)
    more = {"benchmark": ["--prompts", scratch / "prompts.txt"]}
    for name, arguments in cases.FOLDER_COMMANDS.items():
        shutil.rmtree(HERE / name, ignore_errors=True)
        made = scratch / f"made_{name}"
        common = ["--duration", 0.4, "--device", "cpu", "--out", made]
        result = cases.access.command(*arguments, *more.get(name, []), *common)
        if result.exit_code:
            sys.exit(result.output)
        for file in sorted(made.rglob("*")):
            if file.is_file() and file.suffix not in DERIVED:
                target = HERE / name / file.relative_to(made)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())


def questions(scratch):
    import record_cases as cases

    copy = shutil.copytree(HERE / "explanation", scratch / "asked")  # what is scored is kept in the folder
    return {name: cases.asked(name, copy) for name in cases.QUESTIONS}


def write(content, tensors):
    import torch
    from safetensors.torch import save

    small = {
        key: (tensor.to(torch.int16) if key.endswith("/codes") else tensor.float()).contiguous()
        for key, tensor in tensors.items()
    }
    (HERE / "record.safetensors").write_bytes(save(small))
    (HERE / "record.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
