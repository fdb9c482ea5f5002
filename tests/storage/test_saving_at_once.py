"""Several writers and readers of one folder: whole results, and one long run at a time."""

import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import torch

from tagxai import Attribution, TagxaiError, storage
from tagxai.explaining.explanation import Explanation
from tagxai.storage import locks


def test_two_savers_leave_one_whole_result(explanation, tmp_path):
    results = [Explanation(replace(explanation, scores=explanation.scores + i, settings={"i": i})) for i in range(2)]
    for _ in range(10):
        threads = [threading.Thread(target=result.save, args=(tmp_path / "out",)) for result in results]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = Attribution.load(tmp_path / "out")
        assert torch.equal(found.scores, explanation.scores + found.settings["i"])


HOLDER = """
import sys, time
from pathlib import Path
from tagxai import storage
with storage.alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_long_run_in_a_folder_is_refused_until_the_first_ends_or_dies(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(TagxaiError, match="another run of tagxai is writing into"), storage.alone(tmp_path):
            pass
        process.kill()
    with storage.alone(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_without_locks_saves_are_as_whole(explanation, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    Explanation(explanation).save(tmp_path / "out")
    Explanation(replace(explanation, settings={"seed": 1})).save(tmp_path / "out")
    assert Attribution.load(tmp_path / "out").settings == {"seed": 1}
    with storage.alone(tmp_path):
        pass


def test_a_reader_sees_no_save_half_done(explanation, tmp_path):
    out = Explanation(explanation).save(tmp_path / "out")
    stop = time.monotonic() + 1.5

    def save():
        while time.monotonic() < stop:
            Explanation(replace(explanation, scores=explanation.scores + 1)).save(out)
            Explanation(explanation).save(out)

    writer = threading.Thread(target=save)
    writer.start()
    while time.monotonic() < stop:
        Attribution.load(out)  # raises where files do not fit their checksums
    writer.join()
