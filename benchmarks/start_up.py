"""CPU seconds (user and system) of whole commands, from the start of Python to its end, beside their bars.

    uv run --no-sync python benchmarks/start_up.py [--runs 5] [--imports] [--out FILE]

Each command runs once uncounted, which also writes the bytecode that later runs read, and then `--runs` times in turn
with the others: as a user has it, with the threads that torch chooses, and with OMP_NUM_THREADS=1. The table gives the
median and the least; other work on the machine adds to both. `--imports` also gives the seconds that the modules of
each package take to import in `tagxai explain`, by Python's own `-X importtime`.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from machine import machine

PROMPT = "a dog barks while rain falls"
THREADS = {"default": None, "1": "1"}


def commands(folder: Path) -> dict[str, tuple[list[str], float | None]]:
    """Command lines by what the table calls them, and the most CPU seconds that each may take."""
    out = str(folder / "explained")
    return {
        "explain": (["explain", PROMPT, "--out", out], 5.5),
        "show": (["show", out], 1.0),
        "list": (["list"], None),
        "--help": (["--help"], None),
    }


def environment(threads: str | None) -> dict[str, str]:
    """A user's own, with bytecode."""
    left_out = {"PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | ({"OMP_NUM_THREADS": threads} if threads else {})


def cpu_seconds(arguments: list[str], threads: str | None) -> float:
    """User and system time of one run. Raises CalledProcessError where the command fails."""
    line = [sys.executable, "-c", "from tagxai.cli import main; main()", *arguments]
    process = subprocess.Popen(line, env=environment(threads), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, line)
    return usage.ru_utime + usage.ru_stime


def import_seconds(arguments: list[str]) -> Counter[str]:
    """Seconds in the modules of each package alone."""
    line = [sys.executable, "-X", "importtime", "-c", "from tagxai.cli import main; main()", *arguments]
    done = subprocess.run(line, env=environment("1"), capture_output=True, text=True, check=True)
    return own_seconds(done.stderr)


def own_seconds(text: str) -> Counter[str]:
    """What `-X importtime` wrote, added up by package: modules import one another, so each counts its own time."""
    found: Counter[str] = Counter()
    for own, module in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", text, re.MULTILINE):
        found[module.partition(".")[0]] += int(own) / 1e6
    return found


def markdown(seconds: dict[tuple[str, str], list[float]], bars: dict[str, float | None], about: str) -> str:
    lines = [about, "", "| command | threads | median | least | bar | met |", "| --- " * 6 + "|"]
    for (name, threads), values in seconds.items():
        middle, bar = statistics.median(values), bars[name]
        verdict = "–" if bar is None else "yes" if middle <= bar else "no"
        shown = "–" if bar is None else f"{bar:g}"
        lines.append(f"| {name} | {threads} | {middle:.2f} | {min(values):.2f} | {shown} | {verdict} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--imports", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        work = commands(Path(folder))
        seconds: dict[tuple[str, str], list[float]] = {(name, each): [] for name in work for each in THREADS}
        for turn in range(given.runs + 1):
            for name, threads in seconds:
                if turn or threads == "1":
                    spent = cpu_seconds(work[name][0], THREADS[threads])
                    seconds[name, threads] += [spent] if turn else []
        load = os.getloadavg()[0]
        about = f"CPU seconds of whole commands, {given.runs} runs each, load average {load:.1f}; {machine(1)}."
        text = markdown(seconds, {name: bar for name, (_, bar) in work.items()}, about)
        if given.imports:
            packages = import_seconds(work["explain"][0])
            text += f"\nImports of `tagxai explain`: {packages.total():.2f} s.\n\n| package | s |\n| --- | --- |\n"
            text += "".join(f"| {package} | {spent:.2f} |\n" for package, spent in packages.most_common(12))
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
