"""A server of the tests' own: a local process on 127.0.0.1 with its data in a folder of its own."""

import os
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.servers.asking import NoAnswer, ask
from tests.servers.names import ServerName
from tests.servers.ports import free_port
from tests.servers.processes import ServerProcess
from tests.servers.proxy import Proxy, through_proxy

RECORDS = "processes"
"""A file in the folder of a detached server: a line for each process, by which `make services-down` finds it."""

_LOG_LINES = 60
_READY_SECONDS = 100.0
"""For what takes five seconds at most on an idle machine."""


class ServerFailed(Exception):
    """A server that did not start; the message ends with the last lines of its log."""


class LocalServer(ABC):
    """Start, stop, kill and start again: the port and the data stay the same."""

    name: ClassVar[ServerName]
    user: ClassVar[str | None] = None
    """Who runs it where we are root, for servers that refuse to be root's."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, detached: bool = False) -> None:
        """`settings` are added to ours, named as the server's own manual names them."""
        self.folder = folder
        self.log_file = folder / "log"
        self.port = free_port()
        self._settings = dict(settings or {})
        self._detached = detached
        self._processes: list[ServerProcess] = []

    @classmethod
    @abstractmethod
    def packages(cls) -> tuple[str, ...]:
        """Debian's names of what this machine lacks to run one."""

    @classmethod
    def is_installed(cls) -> bool:
        return not cls.packages()

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def _prepare(self) -> None:
        """Make data folder and settings, before the first start."""

    @abstractmethod
    def _launch(self) -> list[ServerProcess]:
        """Start the processes, the one that serves last."""

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self._processes[-1].pid

    @property
    def log(self) -> str:
        """The last lines that it wrote."""
        lines = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        return "\n".join(lines[-_LOG_LINES:])

    def start(self) -> None:
        """Start it, the first time or again; it answers when this returns. Raises ServerFailed."""
        if not self.folder.exists():
            self.folder.mkdir()
            self._give_away(self.folder)
            self._prepare()
        # Of a server that ended by itself, or by a signal of the test's own, something may be left.
        self.kill()
        self._processes = self._launch()
        if self._detached:
            records = [process.record() for process in reversed(self._processes)]
            (self.folder / RECORDS).write_text("\n".join(records))
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End it as an operator would; may be called again."""
        while self._processes:
            self._processes[-1].stop()
            self._processes.pop()

    def kill(self) -> None:
        """SIGKILL; may be called again."""
        while self._processes:
            self._processes[-1].kill()
            self._processes.pop()

    @contextmanager
    def through_proxy(self) -> Iterator[Proxy]:
        """A proxy in front of it, whose `url` leads here."""
        with through_proxy(self.url) as proxy:
            yield proxy

    def _process(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> ServerProcess:
        return ServerProcess(
            argv,
            folder=self.folder,
            log=self.log_file,
            user=self._runs_as(),
            environment=environment,
            stop_signal=stop_signal,
            detached=self._detached,
        )

    def _give_away(self, path: Path) -> None:
        """Let the server's own user have what we made."""
        if user := self._runs_as():
            shutil.chown(path, user, user)

    @classmethod
    def _runs_as(cls) -> str | None:
        return cls.user if os.geteuid() == 0 else None

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                return ask(self.url)
            except NoAnswer as no_answer:
                if (code := self._processes[-1].exit_code) is not None:
                    problem = f"ended with {code} before it answered"
                elif time.monotonic() > deadline:
                    problem = f"did not answer within {_READY_SECONDS:g} s ({no_answer})"
                else:
                    time.sleep(0.05)
                    continue
            self.kill()
            raise ServerFailed(f"{self.name} {problem}; the end of its log:\n{self.log}")
