"""Code from outside works in processes of its own: what ends one ends none of the others' cells."""

import os
import signal

import pytest
from bench_helpers import PROMPTS, csv_of, plan
from survival_runs import install

from tagxai.benchmark import isolation, nursery, results
from tagxai.benchmark.models import ModelSpec
from tagxai.benchmark.running import run
from tagxai.registering.registry import registry

pytestmark = pytest.mark.slow

ENDS = {
    "exits hard": "it called os._exit(0)",
    "is killed": "its process died (signal 9), 3 times",
    "never ends": "it took longer than the limit of 5 s, and did not stop",
    "replaces softmax": "",
}


@pytest.fixture
def guests(tmp_path, monkeypatch):
    """The plugin of `benchmarks/survival.py` is installed."""
    for part in install(tmp_path).split(os.pathsep):
        monkeypatch.syspath_prepend(part)
    monkeypatch.setattr(isolation, "GRACE", 0.5)
    registry.cache_clear()
    yield
    registry.cache_clear()


def test_whatever_ends_a_process_costs_only_the_cells_that_were_under_way(guests, tmp_path):
    one = {"prompts": PROMPTS[:1], "metrics": ["gini"]}
    run(plan(**one), tmp_path / "alone")
    bad = {how: {"name": "misdeed", "how": how} for how in ENDS}
    endless = bad.pop("never ends")
    cells = []
    for methods, limit in ((bad.values(), None), ([endless], 5)):  # no other cell has a limit
        run(plan(methods=[*methods, "cross_attention"], time_limit=limit, **one), tmp_path / "beside")
        cells += results.load(tmp_path / "beside").cells
        kept = [line for line in csv_of(tmp_path / "beside").splitlines() if b",misdeed(" not in line]
        assert kept == csv_of(tmp_path / "alone").splitlines()
    said = {how: next(cell.error or "" for cell in cells if cell.method == f"misdeed(how={how})") for how in ENDS}
    assert {how for how in ENDS if not said[how]} == {"replaces softmax"}
    assert all(sentence in said[how] for how, sentence in ENDS.items()), said


def tell_itself(given, said):
    """What a process of the nursery does here: say who it is, and end as it is asked to."""
    from tagxai.registering.registry import registry

    said.write(f"{os.getpid()} {os.getppid()} {len(vars(registry()).get('plugins', ()))}\n".encode())
    said.flush()
    os._exit(int(given.readline()))


def test_processes_are_new_copies_of_a_prepared_one_which_is_replaced_if_it_dies(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    model, seen = ModelSpec("no such model", "cpu", "auto", 1), []
    try:
        for status in (0, 3):
            process = nursery.start(model, "test_rooms:tell_itself")
            with process.stdin, process.stdout:
                seen.append(process.stdout.readline().split())
                process.stdin.write(f"{status}\n".encode())
                process.stdin.flush()
                assert process.wait() == status
        (first, parent, plugins), (second, same, _) = seen
        assert len({first, second, parent}) == 3
        assert (same, plugins) == (parent, b"0")
        os.kill(int(parent), signal.SIGKILL)
        process = nursery.start(model, "test_rooms:tell_itself")
        with process.stdin, process.stdout:
            assert process.stdout.readline().split()[1] != parent
            process.kill()
            assert process.wait() == -signal.SIGKILL
    finally:
        nursery.close()
