"""Installs the wheel, the sdist and each extra into empty environments, and does the main job of each there.

    uv run python benchmarks/empty_environments.py --out FOLDER [--only captum tables]

For each extra, the core environment first does its job without it, which must end in a sentence that names the extra.
Packages come from uv's cache where it has them. Environments are deleted after their job; the table is printed, and
written to FOLDER/environments.md. The exit status is 1 where anything failed.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from machine import machine

ROOT = Path(__file__).parent.parent
PROMPT = "a dog barks while rain falls"
QUICK = f"explain '{PROMPT}' --duration 0.4 --audio-repeats 0 --out OUT"
READ = f"{QUICK} --method cross_attention"
MODELS = {
    "musicgen": "from tagxai.testing import random_checkpoint; random_checkpoint('musicgen')",
    "audiocraft": "from tagxai.testing.audiocraft import random_audiocraft_checkpoint as make; make('audiocraft')",
    "passt": "import os, torch; from tagxai.classifiers.passt import architecture; os.mkdir('passt'); "
    "torch.save(architecture(pretrained=False).net.state_dict(), 'passt/weights.pt')",
    "stable": "import small_pipelines; small_pipelines.stable_audio().save_pretrained('stable')",
}
"""Random models, each made once by this checkout; all but PaSST are small."""


@dataclass(frozen=True)
class Job:
    """What an extra is for: commands of tagxai, the model that they need, and whose extra a refusal must name."""

    commands: tuple[str, ...]
    extra: str = ""
    model: str = ""
    overrides: tuple[str, ...] = ()
    """Pins that are lifted, as README says."""
    serves: bool = False
    """Whether the last command serves the app, which is then visited."""


EXPLAINED = f"explain '{PROMPT}' --duration 1 --out OUT"
LIFTED = (
    *("torch>=2.11,<2.15", "torchaudio>=2.11,<2.12", "torchvision>=0.26", "av>=14", "numpy>=2", "spacy>=3.8,<3.9"),
    *("xformers>=0.0.35", "transformers>=5.23,<6"),
    *(f"{name}; sys_platform == 'never'" for name in ("torchtext", "demucs", "gradio", "pesq", "pystoi")),
)
BENCH = "bench --executor ray --workers 1 --methods cross_attention --metrics gini --duration 0.4 --out RESULTS"
VISIT = """
import sys
from running_app import Visitor
visitor = Visitor(sys.argv[1])
assert visitor.ask()[0] == 202
(take,) = visitor.takes(1)
status, page = visitor.get(f"takes/{take['id']}")
assert status == 200 and b"falls" in page
print(f"a visitor's clip was explained by {take['method']}: a page of {len(page) // 1000} kB")
"""
JOBS = {
    "app": Job(("app --port 0 --generator tiny",), "app", serves=True),
    "captum": Job((f"{QUICK} --method captum:FeatureAblation",), "captum"),
    "tables": Job((EXPLAINED, "export OUT --to parquet --out a.parquet"), "tables"),
    "ray": Job((f"{BENCH} --prompts laboratory:test:1",), "ray"),
    "sharding": Job((f"{READ} --generator musicgen:musicgen --device sharded",), "sharding", "musicgen"),
    "diffusers": Job((f"{READ} --generator stable_audio:stable",), "diffusers", "stable"),
    "audiocraft": Job((f"{READ} --generator audiogen:audiocraft",), "audiocraft", "audiocraft", LIFTED),
    "int8": Job((f"{READ} --generator musicgen:musicgen --dtype int8",), "int8", "musicgen"),
    "passt": Job((EXPLAINED, "evaluate OUT --metrics 'kl_f(classifier=passt:passt/weights.pt)'"), "passt", "passt"),
}


class Workplace:
    """A folder with the built distributions, small models, and one environment at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, [("environment", "job", "result", "seconds")]
        self.failed = False

    def build(self) -> dict[str, Path]:
        dist = self.folder / "dist"
        _run(["uv", "build", "--quiet", "--out-dir", str(dist)], ROOT)
        return {"wheel": next(dist.glob("*.whl")), "sdist": next(dist.glob("*.tar.gz"))}

    def install(self, what: str, overrides: tuple[str, ...]) -> Path:
        """An environment that holds this requirement and what it depends on."""
        target = self.folder / "environment"
        shutil.rmtree(target, ignore_errors=True)
        _run(["uv", "venv", "--quiet", "--python", sys.executable, str(target)], ROOT)
        lifted = self.folder / "overrides.txt"
        lifted.write_text("\n".join(overrides), encoding="utf-8")
        options = ["--override", str(lifted)] if overrides else []
        _run(["uv", "pip", "install", "--quiet", "--python", str(target), *options, what], ROOT)
        return target / "bin" / "tagxai"

    def note(self, environment: str, job: str, act: Callable[[], str]) -> None:
        began = perf_counter()
        try:
            result = act().strip().rpartition("\n")[2][:120]
        except (subprocess.CalledProcessError, AssertionError) as error:
            self.failed = True
            output = getattr(error, "stdout", "") or ""
            result = f"FAILED: {' '.join((str(error) + ' ' + output).split())[-400:]}"
        self.rows.append((environment, job, result, f"{perf_counter() - began:.0f}"))
        print(" | ".join(self.rows[-1]), flush=True)

    def do(self, program: Path, job: Job) -> str:
        """The job's commands, in a folder of their own; what the last one says."""
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if job.model:
            (place / job.model).symlink_to(self.folder / "models" / job.model)
        said = ""
        for command in job.commands:
            words = [str(program), *shlex.split(command)]
            said = _visited(words, place) if job.serves and command == job.commands[-1] else _run(words, place)
        return said

    def succeed(self, program: Path, job: Job) -> str:
        said = self.do(program, job)
        assert f"tagxai[{job.extra}]" not in said, f"still asks for the extra: {said}"
        assert " failed " not in said, f"a part failed: {said}"
        return said

    def refuse(self, program: Path, job: Job) -> str:
        """Some commands go on where a part fails, so their text is what counts."""
        try:
            said = self.do(program, job)
        except subprocess.CalledProcessError as error:
            said = error.stdout
        assert f"tagxai[{job.extra}]" in " ".join(said.split()), f"does not name the extra: {said}"
        return f"refused, naming tagxai[{job.extra}]"

    def make_model(self, name: str) -> None:
        models = self.folder / "models"
        models.mkdir(exist_ok=True)
        _run([sys.executable, "-c", MODELS[name]], models, PYTHONPATH=str(ROOT / "tests" / "helpers"))


def _run(command: list[str], folder: Path, **variables: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )
    return done.stdout


def _visited(command: list[str], folder: Path) -> str:
    """What a visitor of this checkout says of the app that a command serves."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            said = ""
            for line in server.stdout or ():
                said += line
                if line.startswith("http"):
                    visit = [sys.executable, "-W", "ignore", "-c", VISIT, line.strip()]
                    return _run(visit, folder, PYTHONPATH=str(ROOT / "tests" / "helpers"))
            raise subprocess.CalledProcessError(server.wait(), command, said)
        finally:
            server.send_signal(signal.SIGINT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=("sdist", *JOBS), help="these alone, and the core; default: all")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    work = Workplace(given.out.resolve())
    chosen = [name for name in ("sdist", *JOBS) if given.only is None or name in given.only]
    measured_on = machine(1)
    built = work.build()
    jobs = {name: job for name, job in JOBS.items() if name in chosen}
    for job in jobs.values():
        if job.model:
            work.make_model(job.model)
    core = Job((EXPLAINED,))
    program = work.install(str(built["wheel"]), ())
    work.note("wheel", "explain", lambda: work.do(program, core))
    for name, job in jobs.items():
        work.note("wheel", f"what {name} is for", lambda job=job: work.refuse(program, job))
    if "sdist" in chosen:
        work.note("sdist", "explain", lambda: work.do(work.install(str(built["sdist"]), ()), core))
    for name, job in jobs.items():
        what = f"{built['wheel']}[{name}]"
        work.note(
            f"wheel[{name}]", "its job", lambda job=job, what=what: work.succeed(work.install(what, job.overrides), job)
        )
    shutil.rmtree(work.folder / "environment", ignore_errors=True)
    head, *body = work.rows
    table = [" | ".join(row).join(("| ", " |")) for row in (head, ("---",) * len(head), *body)]
    (work.folder / "environments.md").write_text("\n".join([*table, "", measured_on]) + "\n", encoding="utf-8")
    sys.exit(int(work.failed))


if __name__ == "__main__":
    main()
