"""A real supervisor over real children: who is restarted, who is stopped, and what is left afterwards: nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

DEADLINE_SECONDS = 30.0

# Sub-commands that the children run; `predictq` finds them by entry point, as it finds those of its members.
COMMANDS = """
import os, signal, subprocess, sys, time
from pathlib import Path
import typer
from predictq.process import announce_ready
from predictq.supervisor import ProcessSpec, Supervisor

def note(folder, word):
    with Path(folder, "notes").open("a") as file:
        file.write(f"{word} {os.getpid()}\\n")

def register(app: typer.Typer) -> None:
    @app.command()
    def steady(folder: str, word: str = "steady") -> None:
        signal.signal(signal.SIGINT, lambda *_: note(folder, "interrupted"))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(note(folder, "stopped")))
        announce_ready()
        note(folder, word)
        while True:
            signal.pause()

    @app.command()
    def deaf(folder: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        announce_ready()
        note(folder, "deaf")
        while True:
            signal.pause()

    @app.command()
    def mistaken(folder: str, ready: bool = False) -> None:
        if ready:
            announce_ready()
        note(folder, "mistaken")
        sys.exit(2)

    @app.command()
    def tree(folder: str) -> None:
        specs = [ProcessSpec(f"leaf-{i}", ("steady", folder, "--word", "leaf")) for i in range(2)]
        sys.exit(Supervisor(specs, grace_seconds=5, on_ready=announce_ready).run())

    @app.command()
    def supervise(folder: str, children: list[str], grace: float = 5.0, first: float = 0.05) -> None:
        def ready():
            note(folder, "ready")
        specs = [ProcessSpec(f"{i}-{child}", (*child.split(","), folder)) for i, child in enumerate(children)]
        limits = {"first_restart_seconds": first, "max_restart_seconds": 0.4}
        sys.exit(Supervisor(specs, grace_seconds=grace, on_ready=ready, **limits).run())
"""


class Run:
    """A supervisor in a process of its own, and the notes of its children."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "predictq", "supervise", *arguments[1:], str(folder), *arguments[0].split()],
                env={**os.environ, "PYTHONPATH": str(folder)},
                stderr=errors,
                start_new_session=True,
            )

    def pids(self, word: str) -> list[int]:
        notes = self._folder / "notes"
        lines = notes.read_text().splitlines() if notes.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith(f"{word} ")]

    def errors(self) -> str:
        return self._errors.read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.errors()
            time.sleep(0.01)

    def end(self, number: signal.Signals | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    (tmp_path / "children.py").write_text(COMMANDS)
    dist = tmp_path / "children-1.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: children\nVersion: 1\n")
    (dist / "entry_points.txt").write_text("[predictq.commands]\nchildren = children:register\n")
    runs: list[Run] = []

    def start(*arguments: str) -> Run:
        runs.append(Run(tmp_path, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_children_run_side_by_side_and_stop_in_order(supervise: Callable[..., Run]) -> None:
    run = supervise("steady steady")
    run.until(lambda: len(run.pids("ready")) == 1)
    run.until(lambda: len(run.pids("steady")) == 2)

    assert run.end(signal.SIGTERM) == 0
    assert sorted(run.pids("stopped")) == sorted(run.pids("steady"))


def test_ctrl_c_on_the_terminal_stops_each_child_once(supervise: Callable[..., Run]) -> None:
    run = supervise("steady steady")
    run.until(lambda: len(run.pids("steady")) == 2)

    os.killpg(run.process.pid, signal.SIGINT)

    assert run.end() == 0
    assert len(run.pids("stopped")) == 2
    assert run.pids("interrupted") == []


def test_a_killed_child_is_started_again_and_its_neighbour_is_left_alone(supervise: Callable[..., Run]) -> None:
    run = supervise("steady deaf", "--grace", "0.1")
    run.until(lambda: run.pids("ready") != [])
    run.until(lambda: len(run.pids("steady")) == len(run.pids("deaf")) == 1)

    os.kill(run.pids("steady")[0], signal.SIGKILL)
    run.until(lambda: len(run.pids("steady")) == 2)

    assert len(run.pids("deaf")) == 1
    assert len(run.pids("ready")) == 1
    assert "0-steady ended (signal SIGKILL); starting it again" in run.errors()


def test_a_child_that_ignores_sigterm_is_killed_when_its_grace_is_over(supervise: Callable[..., Run]) -> None:
    run = supervise("deaf", "--grace", "0.2")
    run.until(lambda: run.pids("deaf") != [])

    assert run.end(signal.SIGTERM) == 1
    assert gone(run.pids("deaf"))


def test_a_second_signal_does_not_wait_for_the_grace_to_end(supervise: Callable[..., Run]) -> None:
    run = supervise("deaf", "--grace", "3600")
    run.until(lambda: run.pids("deaf") != [])

    run.process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # two signals closer together than a person's are one order
    assert run.end(signal.SIGINT) == 1
    assert gone(run.pids("deaf"))


def test_the_users_mistake_stops_everything_with_2(supervise: Callable[..., Run]) -> None:
    run = supervise("steady mistaken")

    assert run.end() == 2
    assert gone(run.pids("steady"))
    assert len(run.pids("mistaken")) == 1
    assert "1-mistaken cannot start" in run.errors()


def test_exit_code_2_after_having_been_ready_is_a_death_like_any_other(supervise: Callable[..., Run]) -> None:
    run = supervise("mistaken,--ready")
    run.until(lambda: len(run.pids("mistaken")) >= 3)

    assert run.end(signal.SIGTERM) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_no_child_nor_grandchild_outlives_a_killed_supervisor(supervise: Callable[..., Run]) -> None:
    run = supervise("tree deaf")
    run.until(lambda: len(run.pids("leaf")) == 2 and len(run.pids("deaf")) == 1)

    run.end(signal.SIGKILL)

    run.until(lambda: gone(run.pids("leaf") + run.pids("deaf")))


def test_waiting_costs_no_processor_time(supervise: Callable[..., Run]) -> None:
    run = supervise("steady")
    run.until(lambda: run.pids("ready") != [])
    process = psutil.Process(run.process.pid)
    before = process.num_ctx_switches().voluntary

    time.sleep(0.5)

    assert process.num_ctx_switches().voluntary - before <= 2
