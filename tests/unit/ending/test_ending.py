"""The suite that guards itself: whatever a test leaves running, it is told by name, and the run comes to its end."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOR_EVER = """
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

NEVER = threading.Event()

def start(daemon=False):
    threading.Thread(target=NEVER.wait, name="echo", daemon=daemon).start()
"""


def run(folder: Path, tests: str, *options: str) -> tuple[int, str]:
    """A run of its own, in another process: its exit code and what it said."""
    (folder / "test_it.py").write_text(FOR_EVER + tests)
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\nthread_end_seconds = 1\n")
    argv = [sys.executable, "-m", "pytest", "-c", str(settings), "-p", "tests.ending", "-q", *options, str(folder)]
    done = subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout


def test_a_test_that_leaves_a_thread_running_fails_by_name_and_the_run_ends(tmp_path: Path) -> None:
    code, said = run(tmp_path, "def test_leaves():\n    start()\n\ndef test_does_not():\n    pass\n")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "2 passed, 1 error" in said
    assert "ERROR at teardown of test_leaves" in said
    assert "thread 'echo'" in said


def test_a_thread_that_ends_in_time_and_one_that_holds_nobody_up_are_let_be(tmp_path: Path) -> None:
    ends = "def test_ends():\n    threading.Timer(0.3, int).start()\n\n"
    idle = "POOL = ThreadPoolExecutor()\n\ndef test_leaves_a_pool():\n    POOL.submit(int).result()\n\n"
    code, said = run(tmp_path, ends + idle + "def test_holds_nobody_up():\n    start(daemon=True)\n")
    assert (code, said.splitlines()[-1].partition(" in ")[0]) == (pytest.ExitCode.OK, "3 passed")


def test_a_thread_of_nobodys_fails_the_run_and_does_not_keep_it_alive(tmp_path: Path) -> None:
    code, said = run(tmp_path, "start()\n\ndef test_passes():\n    pass\n")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "1 passed" in said
    assert "thread 'echo'" in said


def test_the_exit_code_is_that_of_the_run(tmp_path: Path) -> None:
    code, said = run(tmp_path, "start()\nraise KeyboardInterrupt\n")
    assert (code, "thread 'echo'" in said) == (pytest.ExitCode.INTERRUPTED, True)


def test_what_waits_for_ever_once_its_time_is_up_ends_the_run_and_is_named(tmp_path: Path) -> None:
    hangs = "def test_hangs():\n    try:\n        time.sleep(100)\n    finally:\n        NEVER.wait()\n"
    code, said = run(tmp_path, hangs, "-o", "timeout=1", "-o", "end_seconds=1")
    assert code == pytest.ExitCode.INTERNAL_ERROR
    assert "test_it.py::test_hangs does not end" in said
    assert "NEVER.wait()" in said


def test_an_end_of_the_run_that_waits_for_ever_is_cut_short(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(FOR_EVER + "def pytest_sessionfinish():\n    NEVER.wait()\n")
    code, said = run(tmp_path, "def test_it():\n    pass\n", "-o", "end_seconds=1")
    assert code == pytest.ExitCode.INTERNAL_ERROR
    assert "the session does not end" in said
    assert "NEVER.wait()" in said
