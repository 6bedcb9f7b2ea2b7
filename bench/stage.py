"""A fresh installation, on disk or on servers, and the real processes of predictq that run on it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Self

from command import Process
from predictq.brokers import open_broker
from predictq.names import Names
from predictq.settings import Settings, load_settings
from predictq.topology import GroupSpec, Topology, topology_of
from servers import SQLITE_BROKER, SQLITE_DATABASE
from traffic import DEPLOYMENT, ENDPOINT, Workload

__all__ = ["Stage", "staged", "until"]
SETTINGS = """
broker = "{broker}"
database = "{database}"
prefix = "{prefix}"
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


class Stage:
    """One installation: settings, model, broker and database in a folder of its own."""

    def __init__(self, folder: Path, workload: Workload, *, broker: str, database: str, audited: bool) -> None:
        self.folder = folder
        # A server is shared; nothing of an earlier round is under this prefix.
        self.names = Names(f"bench-{time.time_ns():x}")
        self.audit_group = f"{self.names.prefix}.bench.audit"
        """Reads the predictions from their beginning, so that nothing is trimmed before it was counted."""
        self.port = _free_port()
        self._file = folder / "predictq.toml"
        self._file.write_text(
            SETTINGS.format(
                broker=broker,
                database=database,
                prefix=self.names.prefix,
                port=self.port,
                endpoint=ENDPOINT,
                deployment=DEPLOYMENT,
                model=workload.model,
            )
        )
        self.settings: Settings = load_settings(self._file)
        self.broker = open_broker(self.settings.broker_url())
        self.topology = topology_of(self.settings)
        if audited:
            self.topology = self._with_audit(self.topology)
        self.processes: list[Process] = []
        """All that were started."""
        self._running = ExitStack()
        with closing(self.broker.admin()) as admin:
            admin.ensure(self.topology)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()
        with closing(self.broker), closing(self.broker.admin()) as admin:
            admin.ensure(Topology(self.names.prefix, (), ()), prune=True)

    def start(self, *argv: str) -> Process:
        """Start `predictq ARGV` and return when it says that it is ready."""
        return self.start_all(argv)[0]

    def start_all(self, *argvs: tuple[str, ...]) -> list[Process]:
        """Start several at once and return when all say that they are ready."""
        processes = []
        for argv in argvs:
            processes.append(Process(self.folder, self._file, argv))
            self._running.callback(processes[-1].stop)
        self.processes += processes
        for process in processes:
            process.await_ready()
        return processes

    def run(self, *argv: str) -> None:
        """Run `predictq ARGV` to its end."""
        command = [str(Path(sys.executable).with_name("predictq")), *argv]
        subprocess.run(command, env={**os.environ, "PREDICTQ_CONFIG": str(self._file)}, check=True, capture_output=True)

    def publishing(self, messages: Path, count: int) -> subprocess.Popen[str]:
        """A process of its own that publishes the first `count` of `messages` as fast as it can; see publisher.py."""
        script = Path(__file__).with_name("publisher.py")
        publisher = subprocess.Popen(
            [sys.executable, str(script), str(messages), self.settings.broker_url(), self.names.prefix, str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running.callback(publisher.wait)
        self._running.callback(publisher.kill)
        return publisher

    def publish(self, messages: Path, count: int) -> None:
        """Publish the first `count` of `messages` and wait for the end."""
        if self.publishing(messages, count).wait() != 0:
            raise RuntimeError("publishing failed")

    def _with_audit(self, topology: Topology) -> Topology:
        audit = GroupSpec(self.audit_group, (self.names.predictions(ENDPOINT),), "beginning")
        return Topology(topology.prefix, topology.topics, (*topology.groups, audit))


@contextmanager
def staged(
    root: Path,
    workload: Workload,
    *,
    broker: str = SQLITE_BROKER,
    database: str = SQLITE_DATABASE,
    audited: bool = True,
) -> Iterator[Stage]:
    """A stage in a new folder under `root`, gone afterwards; `audited` keeps all predictions for a last count."""
    folder = root / f"stage-{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        with Stage(folder, workload, broker=broker, database=database, audited=audited) as stage:
            yield stage
    finally:
        shutil.rmtree(folder)


def until(
    done: Callable[[], bool], *processes: Process, every_seconds: float = 0.01, max_seconds: float = 600.0
) -> None:
    """Wait for `done` while all of `processes` live. Raises RuntimeError where that takes too long."""
    deadline = time.monotonic() + max_seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not done after {max_seconds:g} s")
        for process in processes:
            process.check()
        time.sleep(every_seconds)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
