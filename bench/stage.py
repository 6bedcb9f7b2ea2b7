"""A fresh installation on disk, and the real processes of predictq that run on it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Self

import psutil

from predictq.brokers import open_broker
from predictq.names import Names
from predictq.process import READY_FD
from predictq.settings import Settings, load_settings
from predictq.topology import GroupSpec, Topology, topology_of
from traffic import DEPLOYMENT, ENDPOINT, Workload

__all__ = ["AUDIT_GROUP", "NAMES", "Process", "Stage", "staged", "until"]

NAMES = Names()
AUDIT_GROUP = "predictq.bench.audit"
"""Reads the predictions from their beginning, so that nothing is trimmed before it was counted."""

SETTINGS = """
broker = "sqlite:///var/broker.db"
database = "sqlite:///var/predictions.db"
[log]
level = "warning"
[gateway]
port = {port}
[endpoints.{endpoint}]
[deployments.{deployment}]
endpoint = "{endpoint}"
model = "{model}"
max_batch_size = 500
"""


class Process:
    """A running `predictq` command. Its output goes to a file of its own."""

    def __init__(self, folder: Path, settings: Path, argv: tuple[str, ...], *, ready_seconds: float = 120.0) -> None:
        self.name = argv[0]
        self._log = folder / f"{self.name}.log"
        reading, writing = os.pipe()
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                [str(Path(sys.executable).with_name("predictq")), *argv],
                env={**os.environ, "PREDICTQ_CONFIG": str(settings), READY_FD: str(writing)},
                pass_fds=[writing],
                stdout=log,
                stderr=log,
            )
        os.close(writing)
        self._await_ready(reading, ready_seconds)
        self._psutil = psutil.Process(self._popen.pid)

    def family(self) -> list[psutil.Process]:
        """The process and those it started."""
        return [self._psutil, *self._psutil.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time so far, children included."""
        return sum(sum(process.cpu_times()[:2]) for process in self.family())

    def stop(self) -> None:
        """End it in an orderly way; by force where that takes more than a minute."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(60)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()

    def check(self) -> None:
        """Raise RuntimeError if it has ended by itself."""
        if self._popen.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._popen.returncode}:\n{self._log.read_text()[-2000:]}")

    def _await_ready(self, descriptor: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with os.fdopen(descriptor, "rb") as pipe:
            os.set_blocking(pipe.fileno(), False)
            while not pipe.read():
                self.check()
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"{self.name} was not ready within {seconds:g} s:\n{self._log.read_text()}")
                time.sleep(0.01)


class Stage:
    """One installation: settings, model, broker and database in a folder of its own."""

    def __init__(self, folder: Path, workload: Workload) -> None:
        self.folder = folder
        self.port = _free_port()
        self._file = folder / "predictq.toml"
        self._file.write_text(
            SETTINGS.format(port=self.port, endpoint=ENDPOINT, deployment=DEPLOYMENT, model=workload.model)
        )
        self.settings: Settings = load_settings(self._file)
        self.broker = open_broker(self.settings.broker_url())
        self.topology = _with_audit(topology_of(self.settings))
        self._running = ExitStack()
        with closing(self.broker.admin()) as admin:
            admin.ensure(self.topology)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()
        self.broker.close()

    def start(self, *argv: str) -> Process:
        """Start `predictq ARGV` and return when it says that it is ready."""
        process = Process(self.folder, self._file, argv)
        self._running.callback(process.stop)
        return process

    def run(self, *argv: str) -> None:
        """Run `predictq ARGV` to its end."""
        command = [str(Path(sys.executable).with_name("predictq")), *argv]
        subprocess.run(command, env={**os.environ, "PREDICTQ_CONFIG": str(self._file)}, check=True, capture_output=True)

    def publishing(self, messages: Path) -> subprocess.Popen[str]:
        """A process of its own that publishes `messages` as fast as it can; see publisher.py."""
        script = Path(__file__).with_name("publisher.py")
        return subprocess.Popen(
            [sys.executable, str(script), str(messages), self.settings.broker_url()], stdout=subprocess.PIPE, text=True
        )

    def publish(self, messages: Path) -> None:
        """Publish `messages` and wait for the end."""
        if self.publishing(messages).wait() != 0:
            raise RuntimeError("publishing failed")


@contextmanager
def staged(root: Path, workload: Workload) -> Iterator[Stage]:
    """A stage in a new folder under `root`, gone afterwards."""
    folder = root / f"stage-{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        with Stage(folder, workload) as stage:
            yield stage
    finally:
        shutil.rmtree(folder)


def until(done: Callable[[], bool], *processes: Process, every_seconds: float = 0.01) -> None:
    """Wait for `done`, however long it takes, while all of `processes` live."""
    while not done():
        for process in processes:
            process.check()
        time.sleep(every_seconds)


def _with_audit(topology: Topology) -> Topology:
    audit = GroupSpec(AUDIT_GROUP, (NAMES.predictions(ENDPOINT),), "beginning")
    return Topology(topology.prefix, topology.topics, (*topology.groups, audit))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
