"""The checks for a GPU pass on a CPU with small shapes, and resume."""

import gpu
import pytest
import torch
from gpu_checks import CHECKS, Setting
from gpu_same import agreement

from tagxai.errors import TagxaiError


def test_the_checks_pass_on_a_cpu_and_are_not_run_again(tmp_path, monkeypatch):
    setting, file = Setting("cpu", small=True), tmp_path / "gpu.json"
    done = gpu.run(setting, file)
    assert {key: found.get("why") for key, found in done.items() if found["status"] == "FAILED"} == {}
    assert len(done) == len(CHECKS)
    assert {key.partition(": ")[2] for key, found in done.items() if found["status"] == "not applicable"} == {
        "every method",
        "compiling",
    }

    def refuse(_):
        raise AssertionError("it was run again")

    monkeypatch.setattr(gpu, "CHECKS", dict.fromkeys(CHECKS, refuse))
    assert gpu.run(setting, file) == done
    assert "| cpu small: throughput | ok |" in gpu.page(done, "a CPU")


def test_a_method_whose_scores_differ_or_that_fails_on_the_device_alone_is_no_agreement():
    scores = torch.tensor([1.0, 0.5])

    def refuse(_):
        raise TagxaiError("not here")

    said = agreement({"a": 1.0, "b": 2.0}, lambda each: each * scores, lambda each: each * scores + 1e-4)
    assert said == "2 methods, the largest difference 0.0001 of the largest score (a)"
    with pytest.raises(AssertionError, match=r"a differs by 0\.1 of its largest score, allowed is 0\.001"):
        agreement({"a": 1.0}, lambda each: each * scores, lambda each: each * scores + 0.1)
    with pytest.raises(AssertionError, match="a differs by nan"):
        agreement({"a": 1.0}, lambda each: each * scores, lambda each: scores * torch.nan)
    with pytest.raises(TagxaiError, match="not here"):
        agreement({"a": 1.0}, lambda each: each * scores, refuse)
