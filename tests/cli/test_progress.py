"""Progress in a log, where nobody watches a bar."""

import pytest

from tagxai.cli import progress
from tagxai.contract.values import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def test_counted_work_is_logged_from_time_to_time_with_what_is_left(clock, capsys):
    with progress.stages(counted=True) as stage:
        report = stage("clips")
        for done, seconds in ((1, 10.0), (2, 20.0), (3, 30.0), (4, 40.0)):
            clock[0] = seconds
            report(Progress(done, 10, f"clip {done}"))
    assert capsys.readouterr().err.splitlines() == [
        "2/10 clip 2, about 80 s left",
        "4/10 clip 4, about 60 s left",
    ]


def test_other_work_leaves_a_log_alone(clock, capsys):
    with progress.stages() as stage:
        clock[0] = 100.0
        stage("generating")(Progress(1, 2, "step"))
    assert capsys.readouterr().err == ""
