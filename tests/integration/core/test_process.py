"""A process of loops: how it becomes ready and how signals end it. Real processes, real signals."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DEADLINE_SECONDS = 20.0

Launch = Callable[..., tuple[subprocess.Popen[str], int]]
"""Seconds that a batch takes, seconds of grace, and anything for a second loop that cannot work."""

PROGRAM = """
import faulthandler, sys, threading, time, uuid
from predictq.brokers import Done, Message, Subscription, open_broker
from predictq.errors import UserMistake
from predictq.loop import Limits, Loop, Outcome
from predictq.process import run_process
from predictq.topology import GroupSpec, Topology, TopicSpec

faulthandler.dump_traceback_later(30, exit=True)  # a program that hangs says where
broker = open_broker(f"memory://{uuid.uuid4().hex}")
broker.admin().ensure(Topology("p", (TopicSpec("p.e.requests", 1, 60.0),), (GroupSpec("p.e.d", ("p.e.requests",)),)))

handling = threading.Event()

class Late:
    guarantees = broker.guarantees
    def consumer(self, subscription):
        handling.wait()
        return broker.consumer(subscription)

class Handler:
    def limits(self):
        return Limits(10, 1000, 0.0)
    def handle(self, records):
        print("handling", flush=True)
        handling.set()
        time.sleep(float(sys.argv[1]))
        print("handled", flush=True)
        return Outcome([Done()] * len(records))
    def buried(self, record, reason):
        return []
    def tick(self):
        if sys.argv[1] == "mistake":
            raise UserMistake("the sink cannot be imported")

if sys.argv[1] != "mistake":
    broker.producer().publish([Message("p.e.requests", b"x")])
loops = [Loop(
    name="test", broker=broker, handler=Handler(),
    subscription=Subscription(topics=("p.e.requests",), member="m", group="p.e.d"),
)]
if sys.argv[3:]:
    loops.append(Loop(
        name="misguided", broker=Late(), handler=Handler(),
        subscription=Subscription(topics=("p.e.nowhere",), member="n", group="p.e.d"),
    ))
sys.exit(run_process("test", loops, grace_seconds=float(sys.argv[2]), close=lambda: print("closed", flush=True)))
"""


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts the program; gives the process and the reading end of its readiness pipe."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    started: list[tuple[subprocess.Popen[str], int]] = []

    def launch(*arguments: str) -> tuple[subprocess.Popen[str], int]:
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "PREDICTQ_READY_FD": str(writing)},
            pass_fds=(writing,),
            text=True,
        )
        os.close(writing)
        started.append((process, reading))
        return process, reading

    yield launch
    for process, reading in started:
        os.close(reading)
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_it_says_when_it_is_ready(launch: Launch) -> None:
    _, reading = launch("0", "10")
    assert os.read(reading, 100) == b"ready\n"


def test_the_first_signal_lets_the_batch_in_hand_finish(
    launch: Launch,
) -> None:
    process, _ = launch("1", "10")
    assert line_of(process) == "handling"
    process.send_signal(signal.SIGTERM)
    assert [line_of(process), line_of(process)] == ["handled", "closed"]
    assert process.wait(DEADLINE_SECONDS) == 0


def test_the_second_signal_ends_it_at_once(
    launch: Launch,
) -> None:
    process, _ = launch("60", "60")
    assert line_of(process) == "handling"
    process.send_signal(signal.SIGTERM)
    # Signals that arrive together may come in either order, or twice as one: so the second is sent until it has gone.
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    assert process.returncode in {128 + signal.SIGINT, 128 + signal.SIGTERM}
    assert line_of(process) == ""


def test_the_grace_period_ends_it(launch: Launch) -> None:
    process, _ = launch("60", "0.5")
    assert line_of(process) == "handling"
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_SECONDS) == 1
    assert line_of(process) == ""


def test_what_no_waiting_can_mend_ends_it_with_the_code_of_a_mistake(
    launch: Launch,
) -> None:
    process, _ = launch("mistake", "10")
    assert process.wait(DEADLINE_SECONDS) == 2


def test_a_loop_that_cannot_work_ends_the_others_within_the_grace_period(launch: Launch) -> None:
    process, _ = launch("60", "0.5", "with a second loop")
    assert process.wait(DEADLINE_SECONDS) == 1
