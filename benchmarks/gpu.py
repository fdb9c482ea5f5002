"""What holds on a GPU: devices and dtypes, hooks and batches, throughput, memory, no waiting for the host, compiling.

    uv run python benchmarks/gpu.py [--out FOLDER]                     any CUDA machine, about ten minutes
    uv run python benchmarks/gpu.py --device cpu --small [--out FOLDER]    the same checks, small, where there is none

Weights are random: nothing is downloaded. Each check is kept in FOLDER/gpu.json as soon as it ends, and is not run
again by a second call; FOLDER/gpu.md is the page. What only a GPU has (waiting for the host, compiling) is not
applicable on a CPU. The exit status is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gpu_checks import CHECKS, Setting
from machine import machine

from tagxai.errors import NotApplicableError, error_sentence


def run(setting: Setting, file: Path) -> dict[str, Any]:
    """The figures of every check, from the file or measured now."""
    done: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    for name, check in CHECKS.items():
        key = f"{setting.device} {'small' if setting.small else 'full'}: {name}"
        if done.get(key, {}).get("status") in ("ok", "not applicable"):
            continue
        print(f"{key} ...", file=sys.stderr, flush=True)
        try:
            done[key] = {"status": "ok", **check(setting)}
        except NotApplicableError as error:
            done[key] = {"status": "not applicable", "why": str(error)}
        except Exception as error:  # one check that fails must not end the others
            done[key] = {"status": "FAILED", "why": error_sentence(error)[:300]}
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(done, indent=2) + "\n")
        partial.replace(file)
    return done


def page(done: dict[str, Any], where: str) -> str:
    lines = ["# GPU", "", f"`benchmarks/gpu.py`; {where}.", "", "| check | status | figures |", "| --- | --- | --- |"]
    for key, found in done.items():
        figures = ", ".join(f"{name} {value}" for name, value in found.items() if name != "status")
        lines.append(f"| {key} | {found['status']} | {figures} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="small shapes")
    parser.add_argument("--out", type=Path, default=Path("tagxai-out", "gpu"))
    arguments = parser.parse_args()
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("this machine has no CUDA device; give --device cpu --small")
    arguments.out.mkdir(parents=True, exist_ok=True)
    done = run(Setting(arguments.device, arguments.small), arguments.out / "gpu.json")
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else machine(torch.get_num_threads())
    (arguments.out / "gpu.md").write_text(page(done, where))
    print(page(done, where))
    sys.exit(any(found["status"] == "FAILED" for found in done.values()))


if __name__ == "__main__":
    main()
