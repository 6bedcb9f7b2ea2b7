"""A running `predictq` command."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from predictq.process import READY_FD

__all__ = ["Crew", "Process"]


class Process:
    """Started, and ready when it says so. Its output goes to a file of its own."""

    def __init__(self, folder: Path, settings: Path, argv: tuple[str, ...]) -> None:
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
        self._reading = reading
        self._psutil = psutil.Process(self._popen.pid)

    def family(self) -> list[psutil.Process]:
        """The process and those it started."""
        return [self._psutil, *self._psutil.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time so far, children included."""
        return sum(sum(process.cpu_times()[:2]) for process in self.family())

    def kill(self) -> None:
        """SIGKILL, to it and to those it started."""
        for process in self.family():
            process.kill()
        self._popen.wait()

    def suspend(self) -> None:
        """Hold it and those it started; it can neither work nor say so."""
        for process in self.family():
            process.suspend()

    def resume(self) -> None:
        """Let it go on."""
        for process in self.family():
            process.resume()

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

    def await_ready(self, seconds: float = 120.0) -> None:
        """Return when it says that it is ready. Raises RuntimeError where it does not; to be called once."""
        deadline = time.monotonic() + seconds
        with os.fdopen(self._reading, "rb") as pipe:
            os.set_blocking(pipe.fileno(), False)
            while not pipe.read():
                self.check()
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"{self.name} was not ready within {seconds:g} s:\n{self._log.read_text()}")
                time.sleep(0.01)


class Crew:
    """Several commands looked at as one."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    def check(self) -> None:
        """Raise RuntimeError if one has ended by itself."""
        for process in self._processes:
            process.check()

    def cpu_seconds(self) -> float:
        """Of all together."""
        return sum(process.cpu_seconds() for process in self._processes)
