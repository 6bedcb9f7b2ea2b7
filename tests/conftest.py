"""An installation of predictq in a folder of its own, run by its real commands."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.places import EMBEDDED, Place, rows_of
from tests.servers.ports import free_port

from predictq.brokers import Broker, Done, Message, Record, Subscription, open_broker
from predictq.names import Names
from predictq.process import READY_FD
from predictq.settings import Settings, load_settings
from predictq.topology import GroupSpec, Topology, topology_of

pytest_plugins = ["tests.ending", "tests.servers.fixtures"]

PATIENCE_SECONDS = 100.0
"""For what takes a second or two on an idle machine."""


def eventually(
    condition: Callable[[], object], what: Callable[[], object] = lambda: "", *, seconds: float = PATIENCE_SECONDS
) -> None:
    """Return as soon as `condition` holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {seconds:g} s: {what()}"
        time.sleep(0.02)


class Process:
    """One running command, and what it has written."""

    def __init__(self, argv: Sequence[str], *, config: Path, log: Path, environment: Mapping[str, str]) -> None:
        self.name = " ".join(argv)
        self.log_file = log
        self.out_file = log.with_suffix(".out")
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._ready_fd: int | None = reading
        self._ready = False
        with log.open("ab") as errors, self.out_file.open("ab") as out:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "predictq", *argv],
                env={**os.environ, "PREDICTQ_CONFIG": str(config), READY_FD: str(writing), **environment},
                pass_fds=[writing],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
        os.close(writing)
        self.pid = self.popen.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def ready(self) -> bool:
        """Whether it has said that it is ready: on the pipe of a supervisor, or with `up --json` in its output."""
        self._ready = self._ready or b'"ready"' in self.out_file.read_bytes()
        if self._ready_fd is not None and not self._ready:
            try:
                said = os.read(self._ready_fd, 100)
            except BlockingIOError:
                return False
            self._ready = bool(said)
            os.close(self._ready_fd)
            self._ready_fd = None
        return self._ready

    def until_ready(self) -> None:
        eventually(lambda: self.ready() or self.ended(), lambda: self.log)
        assert self.ready(), f"{self.name} ended with {self.popen.returncode}:\n{self.log}"

    def ended(self) -> bool:
        return self.popen.poll() is not None

    def family(self) -> list[psutil.Process]:
        """The process and all that descend from it."""
        one = psutil.Process(self.pid)
        return [one, *one.children(recursive=True)]

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Its exit code."""
        return self.popen.wait(seconds)

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, to it and to nothing else."""
        self.popen.kill()
        self.popen.wait()

    def clear(self) -> None:
        """Leave nothing of it, children included."""
        if not self.ended():
            for process in reversed(self.family()):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self.popen.wait()
        if self._ready_fd is not None:
            os.close(self._ready_fd)
            self._ready_fd = None


class Installation:
    """Settings, models, broker and database in one folder."""

    def __init__(self, folder: Path, place: Place = EMBEDDED) -> None:
        self.folder = folder
        self.place = place
        self.config = folder / "predictq.toml"
        self.names = Names(place.prefix)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: list[Process] = []

    def configure(self, settings: str, models: str = "") -> None:
        """Write the settings file, and `models.py` beside it. The gateway's port is set by the environment."""
        place = self.place
        where = f'broker = "{place.broker}"\ndatabase = "{place.database}"\nprefix = "{place.prefix}"\n'
        self.config.write_text(where + settings)
        (self.folder / "models.py").write_text(models)

    @property
    def settings(self) -> Settings:
        return load_settings(self.config)

    @property
    def broker_file(self) -> Path:
        return self.folder / "broker" / "log.db"

    @property
    def database_file(self) -> Path:
        return self.folder / "database" / "rows.db"

    def start(self, *argv: str, **environment: str) -> Process:
        """Start `predictq ARGV`; it may not be ready yet."""
        log = self.folder / f"{len(self._processes):03d}-{argv[0]}.log"
        named = {"PREDICTQ_GATEWAY__PORT": str(self.port)}
        process = Process(argv, config=self.config, log=log, environment={**named, **environment})
        self._processes.append(process)
        return process

    def started(self, *commands: tuple[str, ...]) -> list[Process]:
        """Start them side by side; all are ready."""
        processes = [self.start(*argv) for argv in commands]
        for process in processes:
            process.until_ready()
        return processes

    def run(self, *argv: str, stdin: str = "", code: int = 0) -> str:
        """Run `predictq ARGV` to its end; its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "predictq", *argv],
            env={**os.environ, "PREDICTQ_CONFIG": str(self.config), "PREDICTQ_GATEWAY__PORT": str(self.port)},
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == code, f"predictq {' '.join(argv)} ended with {done.returncode}:\n{done.stderr}"
        return done.stdout

    def client(self, port: int | None = None) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{port or self.port}", timeout=PATIENCE_SECONDS)

    def publish(self, *messages: Message) -> None:
        """Put messages on their topics, as another producer would."""
        with self.broker() as broker, closing(broker.producer()) as producer:
            producer.publish(messages)

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """What the database says; JSON as text."""
        if self.place is not EMBEDDED:
            return rows_of(self.place.database, sql, parameters)
        with closing(sqlite3.connect(f"file:{self.database_file}?mode=ro", uri=True, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, parameters)]

    @contextmanager
    def broker(self) -> Iterator[Broker]:
        """The broker, for a moment."""
        with closing(open_broker(self.settings.broker_url())) as broker:
            yield broker

    def audit(self, *topics: str) -> None:
        """From now on everything on these topics is kept for `messages`."""
        with self.broker() as broker, closing(broker.admin()) as admin:
            admin.ensure(Topology(self.place.prefix, (), (GroupSpec(self._auditors, topics),)))

    def messages(self, topic: str) -> list[Record]:
        """All that came to a topic since `audit`, or since it was asked last."""
        subscription = Subscription(topics=(topic,), member=f"auditor-{uuid.uuid4()}", group=self._auditors)
        found: list[Record] = []
        with self.broker() as broker, closing(broker.admin()) as admin:
            count = admin.lag(topic, self._auditors).ready
            with closing(broker.consumer(subscription)) as consumer:
                while len(found) < count:
                    batch = consumer.poll(1000, 1 << 26, 0.0)
                    found += batch
                    consumer.settle(batch, [Done()] * len(batch))
        return found

    @property
    def _auditors(self) -> str:
        return f"{self.place.prefix}.audit"

    def unsettled(self) -> int:
        """Messages that some group has still to settle, delayed ones included; as far as the broker can tell."""
        with self.broker() as broker, closing(broker.admin()) as admin:
            lags = [
                admin.lag(topic, group.name) for group in topology_of(self.settings).groups for topic in group.topics
            ]
        return sum(lag.ready + (lag.in_flight or 0) for lag in lags)

    def logs(self) -> str:
        """The last lines of every process, for a failed test."""
        return "\n".join(f"--- {process.name}\n{process.log[-1500:]}" for process in self._processes)

    def clear(self) -> None:
        """End whatever still runs."""
        with ExitStack() as stack:
            for process in self._processes:
                stack.callback(process.clear)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An empty installation; what it started is gone after the test."""
    one = Installation(tmp_path)
    yield one
    one.clear()
