"""What a command prints on stdout is its result, whatever else prints, and whoever stops reading."""

import json
import subprocess
import sys

from bench_helpers import plan

from tagxai.benchmark.running import run

NOISY = """
import os, sys, threading, time
import tagxai.cli.show as show
from tagxai.cli import main

over = threading.Event()

def noise():
    while not over.wait(0.001):
        print("noise", flush=True)
        os.write(1, b"noise from C\\n")

def with_noise(*given):
    thread.start()
    time.sleep(0.1)
    return plain(*given)

thread = threading.Thread(target=noise)
plain, show.kept_scores = show.kept_scores, with_noise
sys.argv = ["tagxai", "show", sys.argv[1], "--json"]
try:
    main()
finally:
    time.sleep(0.1)
    over.set()
    thread.join()
"""


def test_a_thread_that_prints_at_any_time_does_not_spoil_json(explanation, tmp_path):
    folder = explanation.save(tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", NOISY, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    assert json.loads(done.stdout)["method"] == "random"
    assert "noise\n" in done.stderr
    assert "noise from C" in done.stderr


def test_the_json_of_a_benchmark_is_on_stdout(tmp_path):
    run(plan(metrics=["mask_size"]), tmp_path / "out")
    command = [sys.executable, "-c", "from tagxai.cli import main; main()", "bench", "show", str(tmp_path / "out")]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    assert json.loads(done.stdout)["counts"]["failed"] == 0


def test_a_reader_who_stops_reading_is_no_error_of_a_plugin(explanation, tmp_path):
    folder = explanation.save(tmp_path / "out")
    table = [sys.executable, "-c", "from tagxai.cli import main; main()", "show", str(folder)]
    with subprocess.Popen(table, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        command.stdout.close()
        said = command.stderr.read()
        command.wait(120)
    assert "plugin" not in said
    assert "Traceback" not in said
