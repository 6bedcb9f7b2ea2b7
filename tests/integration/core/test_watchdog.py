"""A call that hangs ends its process, whether or not it lets other threads run."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, time
from predictq.loop import Watchdog

watchdog = Watchdog(max_seconds=0.5, what="a predict call")
with watchdog.watching():
    time.sleep(0.1)
time.sleep(1.5)  # nothing is watched: this may take as long as it likes
print("alive", flush=True)
with watchdog.watching():
    {hang}
"""


@pytest.mark.parametrize(
    ("hang", "exit_code", "said"),
    [
        ("time.sleep(60)", 70, "a predict call took longer than 0.5 s"),
        ("ctypes.PyDLL(None).sleep(60)", 1, "Timeout"),  # holds the interpreter all the time
    ],
    ids=["lets others run", "holds the interpreter"],
)
def test_a_call_that_hangs_ends_the_process(hang: str, exit_code: int, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(hang=hang)], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.stdout == "alive\n"
    assert ended.returncode == exit_code
    assert said in ended.stderr
