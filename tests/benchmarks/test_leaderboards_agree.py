"""benchmarks/leaderboards_agree.py: Kendall's tau against pairs counted one by one, and what its interval says."""

import json
import sys
from itertools import combinations

import leaderboards_agree
import numpy as np
import pytest

METRIC = "average precision"


def board(path, scores):
    """A file of `laboratory.py`: a clip for each column of `scores` by method."""
    clips = len(next(iter(scores.values())))
    records = {
        f"{clip}": {
            "methods": {
                name: {"figures": {"event": {METRIC: values[clip]}}}
                for name, values in {**scores, "oracle": [1.0] * clips, "random": [0.1] * clips}.items()
            }
        }
        for clip in range(clips)
    }
    path.write_text(json.dumps(records))
    return path


def test_tau_is_concordant_less_discordant_pairs():
    first, second = np.random.default_rng(0).random((2, 9))
    signs = [np.sign((first[i] - first[j]) * (second[i] - second[j])) for i, j in combinations(range(9), 2)]
    assert leaderboards_agree.tau(first, second) == pytest.approx(np.mean(signs))


def test_clips_that_disagree_widen_the_interval():
    random = np.random.default_rng(1)
    steady = np.linspace(0, 1, 6)[:, None] + np.zeros((6, 20))
    noisy = steady + random.normal(0, 2, steady.shape)
    assert leaderboards_agree.interval(steady, steady, 50, 0) == pytest.approx((1.0, 1.0))
    low, high = leaderboards_agree.interval(noisy, noisy[:, ::-1], 200, 0)
    assert low < high <= 1.0


def test_methods_in_both_files_are_compared_without_controls(tmp_path, monkeypatch, capsys):
    first = board(tmp_path / "a.json", {"one": [0.9, 0.8], "two": [0.5, 0.6], "three": [0.1, 0.2], "mine": [0.3, 0.3]})
    second = board(tmp_path / "b.json", {"one": [0.7], "two": [0.8], "three": [0.1]})
    monkeypatch.setattr(sys, "argv", ["leaderboards_agree.py", str(first), str(second), "--draws", "20"])
    leaderboards_agree.main()
    printed = capsys.readouterr().out
    assert "| `one` | 0.85 | 0.70 |" in printed
    assert "oracle" not in printed
    assert "mine" not in printed
    assert "over 3 methods: 0.33 [" in printed  # two pairs of three agree
    assert printed.rstrip().endswith("(2 and 1 clips)")


def test_too_few_common_methods_are_one_sentence(tmp_path, monkeypatch):
    files = [board(tmp_path / name, {name: [0.5], "shared": [0.4]}) for name in ("a", "b")]
    monkeypatch.setattr(sys, "argv", ["leaderboards_agree.py", *map(str, files)])
    with pytest.raises(SystemExit, match="only 1 methods are in both files; expected at least 3"):
        leaderboards_agree.main()
