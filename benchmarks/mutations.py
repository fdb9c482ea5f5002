"""Do the tests notice? Small faults, put one at a time into a copy of the package, against the tests of that part.

    python benchmarks/mutations.py             # all of them, the tests without a fault first
    python benchmarks/mutations.py rank-ties   # some, by name

A fault is killed where a test fails. Each is an exact replacement of text that occurs once, so that a change of the
code that a fault is about shows as an error here, not as a fault that was never there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FAULTS = tomllib.loads((ROOT / "benchmarks" / "mutations.toml").read_text(encoding="utf-8"))["fault"]


def tests_fail(copy: Path, arguments: list[str]) -> bool:
    """Whether a test fails. Raises RuntimeError where none was run."""
    environment = os.environ | {
        "PYTHONPATH": str(copy / "src"),  # before the checkout that is installed
        "PYTHONDONTWRITEBYTECODE": "1",  # a fault of the same second and size would be read from it
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
    run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 1):
        raise RuntimeError(f"pytest {' '.join(arguments)} ended with {run.returncode}:\n{run.stdout}{run.stderr}")
    return run.returncode == 1


def copied(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "results")
    for name in ("src", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def survives(copy: Path, fault: dict[str, str]) -> bool:
    path = copy / "src" / "tagxai" / fault["file"]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(fault["old"], fault["new"]), encoding="utf-8")
    try:
        return not tests_fail(copy, fault["tests"].split())
    finally:
        path.write_text(text, encoding="utf-8")


def main(names: list[str]) -> int:
    chosen = [fault for fault in FAULTS if not names or fault["name"] in names]
    for fault in chosen:
        times = (ROOT / "src" / "tagxai" / fault["file"]).read_text(encoding="utf-8").count(fault["old"])
        if times != 1:
            raise RuntimeError(f"{fault['name']}: {fault['file']} has {fault['old']!r} {times} times")
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        files = {word for fault in chosen for word in fault["tests"].split() if word.startswith("tests/")}
        if tests_fail(copy, sorted(files)):
            raise RuntimeError("the tests fail without any fault")
        alive = 0
        for fault in chosen:
            survived = survives(copy, fault)
            alive += survived
            print(f"{'SURVIVED' if survived else 'killed':8}  {fault['name']:28} {fault['file']}", flush=True)
    print(f"{len(chosen) - alive} of {len(chosen)} killed")
    return int(alive > 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
