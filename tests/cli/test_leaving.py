"""How a command ends: at once, but with all that is written and all that was registered done."""

import subprocess
import sys

import pytest

BEFORE = """
import atexit, os, sys, threading, time, types

class Object:
    def __del__(self, write=os.write):
        write(1, b"taken down\\n")

sys.modules["kept"] = types.ModuleType("kept")
sys.modules["kept"].object = Object()
atexit.register(lambda: print("registered"))
from tagxai.cli.leaving import leave
"""


def ended(code, stdout=subprocess.PIPE):
    return subprocess.run([sys.executable, "-c", BEFORE + code], stdout=stdout, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (2, 2), (130, 130)])
def test_it_ends_with_its_status_its_output_and_what_was_registered_but_takes_nothing_down(code, status):
    done = ended(f"print('written'); print('note', file=sys.stderr); leave(SystemExit({code}))")
    assert (done.returncode, done.stdout, done.stderr) == (status, "written\nregistered\n", "note\n")


def test_a_thread_at_work_is_waited_for():
    work = "threading.Thread(target=lambda: (time.sleep(.3), print('worked'))).start()"
    done = ended(f"{work}; leave(SystemExit(3))")
    assert done.returncode == 3
    assert done.stdout.splitlines() == ["worked", "registered", "taken down"]


def test_a_daemon_is_not():
    done = ended("threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); leave(SystemExit(0))")
    assert (done.returncode, done.stdout) == (0, "registered\n")


def test_a_sentence_as_status_is_python_s_own():
    done = ended("leave(SystemExit('a sentence'))")
    assert done.returncode == 1
    assert done.stderr == "a sentence\n"


def test_the_command_line_ends_in_this_way():
    done = ended("from tagxai.cli import main; sys.argv = ['tagxai', '--version']; main()")
    assert done.returncode == 0
    assert done.stdout.startswith("tagxai ")
    assert "taken down" not in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_output_that_cannot_be_written_is_no_success():
    with open("/dev/full", "w") as full:
        assert ended("print('lost'); leave(SystemExit(0))", stdout=full).returncode != 0
