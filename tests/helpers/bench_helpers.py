"""A small benchmark of the analytic model, for the tests of benchmarks."""

import os
import signal
import time

import pytest
from typer.testing import CliRunner

from tagxai.benchmark import result_files, results
from tagxai.benchmark.plan_options import make_plan
from tagxai.cli import app

pytest.importorskip("tagxai_analytic")

PROMPTS = ["a dog barks", "rain falls"]
CONTROLS = ["oracle", "degraded oracle", "random", "all-ones", "all-zeros"]


def plan(**changes):
    content = {"generators": ["analytic"], "methods": ["cross_attention"], "metrics": ["mask_size", "roc_auc"]}
    return make_plan(content | {"prompts": PROMPTS, "device": "cpu"} | changes)


def csv_of(folder):
    result_files.write(results.load(folder), folder)
    return (folder / "results.csv").read_bytes()


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


def die_if_asked(job):
    """A job in a module that a new process can import, too."""
    if job == "dies":
        time.sleep(0.3)  # until the others are under way
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    return job
