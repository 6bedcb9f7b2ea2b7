"""Programs that a benchmark starts and ends: bare loops, peers, whatever is no command of predictq's."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

__all__ = ["HERE", "Program"]

HERE = Path(__file__).resolve().parent


class Program:
    """A running process whose output goes to a file; scripts find the modules of `bench/`."""

    def __init__(self, argv: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None) -> None:
        self.name = next((Path(word).name for word in argv if word.endswith(".py")), argv[0])
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                argv,
                env={**os.environ, "PYTHONPATH": str(HERE), **(env or {})},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._psutil = psutil.Process(self._popen.pid)

    def check(self) -> None:
        """Raise RuntimeError if it has ended by itself."""
        if self._popen.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._popen.returncode}:\n{self._log.read_text()[-2000:]}")

    def finish(self, seconds: float) -> None:
        """Wait for its own end; raises RuntimeError where it failed."""
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise RuntimeError(f"{self.name} did not end within {seconds:g} s") from None
        if code != 0:
            raise RuntimeError(f"{self.name} ended with {code}:\n{self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it; by force where that takes more than five seconds. Its work is counted by then."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(5)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()

    def cpu_seconds(self) -> float:
        """User and system time so far, children included."""
        family = [self._psutil, *self._psutil.children(recursive=True)]
        return sum(sum(process.cpu_times()[:2]) for process in family)
