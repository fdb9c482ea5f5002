"""What benchmarks/laboratory.py refuses: in one sentence, and with what an earlier run wrote as it was."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "laboratory.py"


@pytest.fixture(scope="module")
def laboratory():
    spec = importlib.util.spec_from_file_location("benchmark_laboratory", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--clips", "0"], "expected a whole number from 1 up, not '0'"),
        (["--clips", "-3"], "expected a whole number from 1 up, not '-3'"),
        (["--seed", "-1"], "expected a whole number from 0 up, not '-1'"),
        (["--methods", "random,shaply"], "did you mean 'shapley'?"),
    ],
)
def test_what_cannot_be_measured_is_refused(laboratory, options, told, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["laboratory.py", *options, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stopped:
        laboratory.main()
    assert told in capsys.readouterr().err + str(stopped.value.code)
    assert stopped.value.code not in (0, None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content", ['{"0: a dog": {"prompt"', "[]", '{"0: a dog": 3}', '{"0: a dog": {"methods": []}}']
)
def test_a_damaged_file_is_refused_and_left_as_it_is(laboratory, content, monkeypatch, tmp_path):
    (tmp_path / "laboratory.json").write_text(content)
    monkeypatch.setattr(sys, "argv", ["laboratory.py", "--methods", "random", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"laboratory\.json"):
        laboratory.main()
    assert (tmp_path / "laboratory.json").read_text() == content
