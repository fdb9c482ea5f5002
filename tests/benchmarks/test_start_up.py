"""The start-up benchmark: whose time it counts, and what it says of a bar."""

import subprocess

import pytest
from start_up import cpu_seconds, environment, markdown, own_seconds


def test_only_the_time_of_the_command_counts_and_a_failing_one_is_an_error():
    assert 0.05 < cpu_seconds(["--version"], "1") < 20
    with pytest.raises(subprocess.CalledProcessError):
        cpu_seconds(["no-such-command"], "1")


def test_commands_run_with_bytecode_and_with_the_threads_that_are_asked_for(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert {"PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS"}.isdisjoint(environment(None))
    assert environment("1")["OMP_NUM_THREADS"] == "1"


def test_a_module_counts_without_what_it_imports():
    text = "import time: self [us] | cumulative | imported package\nnoise\n"
    text += "import time:   1000000 |    1000000 |   a.b\nimport time:    500000 |    1500000 | a\n"
    text += "import time:    250000 |    1750000 | b\n"
    assert own_seconds(text) == {"a": 1.5, "b": 0.25}


def test_the_median_is_held_to_the_bar():
    table = markdown({("x", "1"): [1.0, 9.0, 2.0], ("y", "1"): [3.0]}, {"x": 2.0, "y": 2.5}, "about")
    assert "| x | 1 | 2.00 | 1.00 | 2 | yes |" in table
    assert "| y | 1 | 3.00 | 3.00 | 2.5 | no |" in table
