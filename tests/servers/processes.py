"""One process of a server, which never outlives the tests that started it."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_GRACE_SECONDS = 60.0
_GUARD = 'read -r never; kill -s KILL -- "-$0"'
"""Runs in a shell of its own and reads from a pipe that only we hold: when we are gone, SIGKILL included, it reads the
end and kills the process group."""

_detached: list[subprocess.Popen[bytes]] = []
"""Kept, for Python complains of a process that is forgotten while it runs."""


class ServerProcess:
    """A process in a session of its own, what it starts included."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        log: Path,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        detached: bool = False,
    ) -> None:
        """`detached` processes stay when we end."""
        self._stop_signal = stop_signal
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                argv,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        self.pid = self._popen.pid
        self._guard = None if detached else _guard_of(self.pid)
        if detached:
            _detached.append(self._popen)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def stop(self) -> None:
        """Ask it to end and wait until it has."""
        if self.exit_code is None:
            self._popen.send_signal(self._stop_signal)
        self._popen.wait(_GRACE_SECONDS)
        self._dismiss_guard()

    def kill(self) -> None:
        """SIGKILL to it and to all that it started; all are gone."""
        family = [] if self.exit_code is not None else _family(self.pid)
        _kill(family)
        self._popen.wait()
        psutil.wait_procs(family[1:])
        self._dismiss_guard()

    def record(self) -> str:
        """A line by which another process can end it: see `end_recorded`."""
        return f"{self.pid} {psutil.Process(self.pid).create_time()} {self._stop_signal.value}"

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            # Killed before its pipe is closed, else it would kill whoever has the number by then.
            self._guard.kill()
            self._guard.communicate()
            self._guard = None


def end_recorded(line: str) -> None:
    """End the process that `record` told of, and wait until it is gone; whoever has its number by now is spared."""
    pid, created, stop_signal = line.split()
    try:
        process = psutil.Process(int(pid))
        if process.create_time() != float(created):
            return
        family = _family(process.pid)
        process.send_signal(int(stop_signal))
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs(family, _GRACE_SECONDS)
    _kill(alive)
    psutil.wait_procs(alive)


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        # Some end by themselves as soon as the first of them is gone.
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _guard_of(pid: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
