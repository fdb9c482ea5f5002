"""Two trials of `survival.py`: methods that misbehave in forty ways, and twelve broken plugins installed at once."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from survival_misdeeds import MISDEEDS
from survival_runs import Bench, tell

PREAMBLE = """
from dataclasses import dataclass
from tagxai import hookimpl, Method, Metric
@dataclass(frozen=True)
class Fine(Method):
    '''A method that works.'''
    name = "fine"
    def explain(self, run): ...
"""
HOOK = "@hookimpl\ndef tagxai_methods(): return CLASSES\n"
BROKEN = {
    "raises": "1 / 0",
    "exits": "import sys; sys.exit(0)",
    "exits-hard": "import os; os._exit(0)",
    "slow": "import time; time.sleep(3)\n" + PREAMBLE + "CLASSES = [Fine]\n" + HOOK,
    "no-mark": PREAMBLE + "def tagxai_methods(): return [Fine]\n",
    "misspelt": PREAMBLE + "@hookimpl\ndef tagxai_metods(): return [Fine]\n",
    "instance": PREAMBLE + "CLASSES = [Fine()]\n" + HOOK,
    "nameless": PREAMBLE + "class No(Fine): name = None\nCLASSES = [No]\n" + HOOK,
    "abstract": PREAMBLE + "class No(Method): name = 'no'\nCLASSES = [No]\n" + HOOK,
    "colon": PREAMBLE + "class No(Fine): name = 'a:b'\nCLASSES = [No]\n" + HOOK,
    "thief": PREAMBLE + "class No(Fine): name = 'occlusion'\nCLASSES = [No]\n" + HOOK,
    "rude": "print('{'); import os; os.chdir('/'); os.environ.clear()\n" + PREAMBLE + "CLASSES = [Fine]\n" + HOOK,
}
"""Distributions and what their modules hold."""


def misdeeds(given: argparse.Namespace) -> dict[str, Any]:
    """Whether the cells of good methods and of controls are byte for byte what they are without forty bad ones."""
    (given.out / "two-prompts.txt").write_text("a dog barks\na bell rings before rain falls\n")
    changes = {
        "--prompts": str(given.out / "two-prompts.txt"),
        "--metrics": given.metrics,
        "--reference": given.methods.split(",")[0],
        "--time-limit": "30",
    }
    good = Bench(given, "good", **changes)
    alone = good.run()
    bad = ",".join(f"misdeed(how={how})" for how in MISDEEDS)
    bench = Bench(given, "misdeeds", **changes)
    bench.command[bench.command.index("--methods") + 1] = f"{bad},{given.methods}"
    taken = bench.run()
    expected = {tuple(row.items()) for row in good.rows()}
    others = {tuple(row.items()) for row in bench.rows() if not row["method"].startswith("misdeed(")}
    errors = {row["method"]: row["why"] for row in bench.rows() if row["method"].startswith("misdeed(")}
    return {
        "methods": len(errors),
        "with an error": sum(map(bool, errors.values())),
        "other cells": len(others),
        "other cells changed": len(others ^ expected),
        "seconds alone": alone,
        "seconds beside": taken,
        "passed": others == expected and len(errors) == len(MISDEEDS),
    }


def broken(given: argparse.Namespace) -> dict[str, Any]:
    """Whether every command that needs no plugin works beside twelve broken ones, and what it costs in CPU time."""
    place = (given.out / "broken").resolve()
    for name, source in BROKEN.items():
        about = place / f"broken_{name.replace('-', '_')}-1.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        module = f"broken_{name.replace('-', '_')}_module"
        (place / f"{module}.py").write_text(source)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: broken-{name}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[tagxai]\nbroken-{name} = {module}\n")
    explained = str((given.out / "explained").resolve())
    ask = ["explain", "a dog barks", "-m", "occlusion", "--audio-repeats", "0", "--device", "cpu", "--out", explained]
    commands = {
        "help": ["--help"],
        "methods": ["methods", "occlusion"],
        "explain": [*ask, "--force"],
        "show": ["show", explained],
    }
    clean = dict(os.environ)
    beside = clean | {"PYTHONPATH": str(place)}
    found: dict[str, Any] = {}
    passed = True
    _cpu(ask, clean)
    for name, command in commands.items():
        times = [(_cpu(command, beside), _cpu(command, clean)) for _ in range(given.repeats)]
        ratio = statistics.median(a for a, _ in times) / statistics.median(b for _, b in times)
        found[f"CPU time of `{name}`"] = f"{ratio:.2f}x"
        passed &= ratio <= 1.2
        tell(f"broken: {name} {ratio:.2f}")
    listed = _run(["list"], beside)
    named = sum(f"broken-{name} " in listed.stderr for name in BROKEN if name not in ("slow", "rude", "thief"))
    found["plugins named by `list`"] = f"{named} of {len(BROKEN) - 3}"
    asked = _run(["explain", "a dog", "-m", "broken-raises/x"], beside)
    found["exit status where one is asked for"] = asked.returncode
    return found | {"passed": passed and named == len(BROKEN) - 3 and listed.returncode == 0 and asked.returncode == 2}


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", "from tagxai.cli import main; main()", *command]
    return subprocess.run(words, env=environment, capture_output=True, text=True, cwd=Path.cwd(), check=False)


def _cpu(command: list[str], environment: dict[str, str]) -> float:
    """CPU seconds of a command, which must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = _run(command, environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stderr[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
