"""Methods that do what no method may spoil their own cells only."""

import json
import signal
import sys
import time
from dataclasses import dataclass, replace

import pytest
import torch
from bench_helpers import PROMPTS, csv_of, invoke, plan
from registered import register_method

from tagxai import Method, TagxaiError
from tagxai.benchmark import results
from tagxai.benchmark.guards import blaming, time_limit
from tagxai.benchmark.running import run
from tagxai.methods.cross_attention import CrossAttention

hooks: list[torch.utils.hooks.RemovableHandle] = []  # that `Bad` leaves on all modules


def double(module, given, output):
    """A forward hook that changes what linear layers give."""
    return output * 2 if isinstance(module, torch.nn.Linear) else None


@dataclass(frozen=True)
class Bad(Method):
    """Does what no method may."""

    name = "bad"
    how: str = "raises"

    def explain(self, run):
        if self.how == "raises":
            raise RuntimeError("a bug\nof a plugin")
        if self.how == "never ends":
            while True:
                time.sleep(0.01)
        if self.how == "exits":
            sys.exit(3)
        if self.how == "leaves an edit":
            run.model.meanings.mul_(0.5)  # the weights of the analytic model
        elif self.how == "leaves a hook of all modules":
            hooks.append(torch.nn.modules.module.register_module_forward_hook(double))
        elif self.how == "leaves a hook that looks":
            run.model.model.decoder.register_forward_pre_hook(lambda module, given: None)
        elif self.how == "leaves a hook":
            run.model.attention_sites()[0].projection.register_forward_hook(double)
        found = CrossAttention().explain(run)
        if self.how == "returns NaN at once":
            return replace(found, values=found.values * float("nan"))
        if self.how == "returns the wrong shape":
            return replace(found, values=found.values[:, :-1])
        return found

    def attribute(self, generator, generation, *, on_progress=None):
        """What a method that does without the template may do."""
        if self.how == "is no attribution":
            return 3
        found = super().attribute(generator, generation, on_progress=on_progress)
        if self.how == "returns NaN later":  # than its Attribution looks
            found.scores[0, 0, 0] = float("nan")
        return found


@pytest.fixture
def bad(monkeypatch):
    register_method(monkeypatch, "bad", Bad)
    yield
    while hooks:
        hooks.pop().remove()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a run without a bad method, by what is run: cases that run the same share it."""
    made = {}

    def run_once(content):
        key = json.dumps(content, sort_keys=True)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("alone") / "out"
            run(plan(**content), made[key])
        return made[key]

    return run_once


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("raises", "RuntimeError: a bug of a plugin"),
        ("never ends", "longer than the limit of 1 s"),
        ("is no attribution", "int, not an Attribution"),
        ("exits", "SystemExit: 3"),
        ("leaves an edit", "left something behind"),
        ("returns NaN at once", "hold NaN"),
        ("returns NaN later", "hold NaN"),
        ("returns the wrong shape", "do not fit a generation"),
    ],
)
def test_a_bad_method_spoils_its_own_cells_only(how, sentence, bad, alone, tmp_path):
    check_spoils_its_own(how, sentence, {"metrics": ["roc_auc"]}, alone, tmp_path)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("leaves a hook", "left hooks"),
        ("leaves a hook that looks", "left hooks"),
        ("leaves a hook of all modules", "left hooks"),
    ],
)
def test_a_hook_of_pytorch_that_is_left_spoils_no_other_cells(how, sentence, bad, alone, random_model, tmp_path):
    content = {"generators": [f"musicgen:{random_model}"], "metrics": ["gini"], "duration": 0.4}
    check_spoils_its_own(how, sentence, content, alone, tmp_path)


def check_spoils_its_own(how, sentence, content, alone, out):
    """Beside a bad method, which comes first, the cells of all others are byte for byte what they are without it."""
    one = content | {"prompts": PROMPTS[:1]}
    without = alone(one)
    methods = [{"name": "bad", "how": how}, "cross_attention"]
    run(plan(methods=methods, time_limit=1 if how == "never ends" else None, **one), out)
    errors = {cell.method: cell.error for cell in results.load(out).cells if cell.error}
    assert list(errors) == [f"bad(how={how})"]
    assert sentence in errors[f"bad(how={how})"]
    before, both = timeless_cells(without), timeless_cells(out)
    assert len(before) > 2
    assert {name: cell for name, cell in both.items() if name in before} == before
    assert len(both) == len(before) + 1
    kept = [line for line in csv_of(out).splitlines() if b",bad(how" not in line]
    assert kept == csv_of(without).splitlines()


def timeless_cells(folder):
    """The text of each cell's file, but for what depends on a clock."""
    cells = {file.stem: json.loads(file.read_text()) for file in folder.glob("cells/*/*.json")}
    clock = ("generate_seconds", "seconds", "sha256")
    return {name: json.dumps({k: v for k, v in cell.items() if k not in clock}) for name, cell in cells.items()}


def test_a_run_with_failures_ends_with_status_1_and_keeps_its_results(bad, tmp_path):
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    given = ["-g", "analytic", "--metrics", "mask_size", "--device", "cpu", "--prompts", tmp_path / "prompts.txt"]
    made = invoke("bench", *given, "-m", "bad", "--out", tmp_path / "out")
    assert made.exit_code == 1, made.output
    assert made.stderr.splitlines()[-1] == (
        "all 2 cells of the methods failed, the first because method 'bad' failed: RuntimeError: a bug of a plugin"
    )
    assert "Leaderboard: analytic" in made.stdout
    assert (tmp_path / "out" / "table.md").is_file()
    assert invoke("bench", "show", tmp_path / "out").exit_code == 1
    some = invoke("bench", *given, "-m", "bad,cross_attention", "--out", tmp_path / "out")
    assert some.exit_code == 1, some.output
    assert "12 of 14 cells have a value, 2 failed (--retry-failed computes them again)" in some.stdout


def test_an_alarm_at_the_very_end_leaves_no_timer_behind(monkeypatch):
    before, real = signal.getsignal(signal.SIGALRM), signal.setitimer

    def at_the_last_moment(which, seconds, *interval):
        if not seconds:
            signal.raise_signal(signal.SIGALRM)
        return real(which, seconds, *interval)

    monkeypatch.setattr(signal, "setitimer", at_the_last_moment)
    with time_limit(60):
        pass
    with pytest.raises(TagxaiError, match="longer than the limit of 60 s"), time_limit(60):
        signal.raise_signal(signal.SIGALRM)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before


def test_an_error_that_names_what_failed_is_not_told_twice():
    for said, sentence in (("metric 'a' is bad", "metric 'a' is bad"), ("is bad", "metric 'a' failed: is bad")):
        with pytest.raises(TagxaiError, match=f"^{sentence}$"), blaming("metric 'a'"):
            raise TagxaiError(said)


def test_a_limit_that_ends_in_a_finaliser_is_not_lost():
    class Slow:
        def __del__(self):
            time.sleep(0.2)

    def work():
        Slow()
        time.sleep(3)

    with pytest.raises(TagxaiError, match="longer than the limit"), time_limit(0.05):
        work()
