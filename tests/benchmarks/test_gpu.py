"""The checks for a GPU pass on a CPU with small shapes, and resume."""

import gpu
from gpu_checks import CHECKS, Setting


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
