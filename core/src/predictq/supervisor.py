"""Keeps child processes running: started together, restarted when they die, stopped together.

On Linux a child is killed by the kernel when its supervisor dies, however that came about; elsewhere this holds for
every end of the supervisor but SIGKILL.
"""

import ctypes
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from predictq.loop.backoff import Backoff
from predictq.process import READY_FD

__all__ = ["ProcessSpec", "Supervisor", "die_with_supervisor"]

SUPERVISOR_PID = "PREDICTQ_SUPERVISOR_PID"
USER_MISTAKE = 2
PR_SET_PDEATHSIG = 1
SAME_ORDER_SECONDS = 0.3
STEADY_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to keep running: `predictq <argv>`, and its name for people."""

    name: str
    argv: tuple[str, ...]


class Supervisor:
    """Runs `specs` side by side until it is told to stop.

    `on_ready` is called once, when every child has been ready. `grace_seconds` is what children get between SIGTERM and
    SIGKILL; it should be longer than the grace they take themselves. A dead child waits for up to
    `first_restart_seconds`, then twice as long and so on, and starts over when it has stayed up for a while.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        *,
        grace_seconds: float,
        on_ready: Callable[[], None] | None = None,
        first_restart_seconds: float = 0.2,
        max_restart_seconds: float = 30.0,
    ) -> None:
        self._grace_seconds = grace_seconds
        self._on_ready = on_ready
        self._children = [
            _Child(spec, Backoff(first_seconds=first_restart_seconds, max_seconds=max_restart_seconds))
            for spec in specs
        ]
        self._signals = 0
        self._signalled_at = float("-inf")

    def run(self) -> int:
        """Block until SIGTERM, SIGINT or SIGHUP; a second one kills. Call it in the main thread, once.

        Returns 0 when all children stopped in time, 1 when one had to be killed, and 2, having stopped all others, when
        one exits with 2 without ever having been ready: the mistake is the user's, and starting again mends nothing.
        """
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            woken = stack.enter_context(_wake_on_signals(self._count_signal))
            selector.register(woken, selectors.EVENT_READ)
            stack.callback(self._kill)
            mistaken = self._keep_running(selector, woken)
            stopped = self._stop(selector, woken)
        if mistaken:
            return USER_MISTAKE
        return 0 if stopped else 1

    def _keep_running(self, selector: selectors.BaseSelector, woken: int) -> bool:
        announced = self._on_ready is None
        while not self._signals:
            now = time.monotonic()
            for child in self._children:
                if child.died(selector, now) and child.mistaken:
                    log.error("%s cannot start, see above; stopping", child.spec.name)
                    return True
                if child.due(now):
                    child.start(selector)
            if not announced and all(child.was_ready for child in self._children):
                announced = True
                if self._on_ready is not None:
                    self._on_ready()
            self._wait(selector, woken, min((child.wait_seconds(now) for child in self._children), default=None))
        return False

    def _stop(self, selector: selectors.BaseSelector, woken: int) -> bool:
        deadline = time.monotonic() + self._grace_seconds
        for child in self._children:
            child.signal(signal.SIGTERM)
        while any(child.alive() for child in self._children):
            left = deadline - time.monotonic()
            if left <= 0 or self._signals >= 2:
                self._kill()
                return False
            self._wait(selector, woken, left)
        return True

    def _wait(self, selector: selectors.BaseSelector, woken: int, seconds: float | None) -> None:
        for key, _ in selector.select(None if seconds == float("inf") else seconds):
            if key.fd == woken:
                with suppress(BlockingIOError):
                    os.read(woken, 4096)
            else:
                key.data.hear(selector)

    def _kill(self) -> None:
        for child in self._children:
            if child.alive():
                log.warning("%s did not stop in time and is killed", child.spec.name)
                child.kill()

    def _count_signal(self, number: int) -> None:
        # One order to stop may arrive twice: `timeout` and some terminals tell the process and its whole group.
        now = time.monotonic()
        if number != signal.SIGCHLD and now - self._signalled_at > SAME_ORDER_SECONDS:
            self._signals += 1
            self._signalled_at = now


def die_with_supervisor() -> None:
    """Called first thing in a process that may be a supervisor's child: its death becomes this process's."""
    supervisor = os.environ.pop(SUPERVISOR_PID, None)
    if supervisor is None or sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != int(supervisor):  # it died before the kernel was told
        sys.exit(1)


class _Child:
    """One spec, the process that runs it now, and when to start it again."""

    def __init__(self, spec: ProcessSpec, backoff: Backoff) -> None:
        self.spec = spec
        self.was_ready = False
        self.mistaken = False
        self._backoff = backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_fd: int | None = None
        self._started_at = 0.0
        self._start_at = 0.0

    def start(self, selector: selectors.BaseSelector) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            # A group of its own: Ctrl-C on the terminal reaches the supervisor alone, which stops each child once.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own arguments
                [sys.executable, "-m", "predictq", *self.spec.argv],
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__,
                env={**os.environ, READY_FD: str(writing), SUPERVISOR_PID: str(os.getpid())},
                pass_fds=(writing,),
                process_group=0,
            )
        finally:
            os.close(writing)
        self._started_at = time.monotonic()
        self._ready_fd = reading
        selector.register(reading, selectors.EVENT_READ, self)

    def hear(self, selector: selectors.BaseSelector) -> None:
        """Read what came on the readiness pipe: a line, or the end when the child died first."""
        if self._ready_fd is None:
            return
        try:
            self.was_ready |= bool(os.read(self._ready_fd, 4096))
        except BlockingIOError:  # nothing was said, yet something that the child started holds the pipe open
            return
        self._close_pipe(selector)

    def died(self, selector: selectors.BaseSelector, now: float) -> bool:
        """Whether it ran and runs no more; if so, when to start it again is settled."""
        if self._process is None or self._process.poll() is None:
            return False
        code = self._process.returncode
        self._process = None
        self.hear(selector)  # ready and dead at once
        self._close_pipe(selector)
        self.mistaken = code == USER_MISTAKE and not self.was_ready
        if self.mistaken:
            return True
        if now - self._started_at >= STEADY_SECONDS:
            self._backoff.reset()
        delay = self._backoff.next_seconds()
        self._start_at = now + delay
        log.warning("%s ended (%s); starting it again in %.1f s", self.spec.name, _reason(code), delay)
        return True

    def due(self, now: float) -> bool:
        return self._process is None and now >= self._start_at

    def wait_seconds(self, now: float) -> float:
        return float("inf") if self._process is not None else max(0.0, self._start_at - now)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the child and whatever it started in its group, and wait for its end."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _close_pipe(self, selector: selectors.BaseSelector) -> None:
        if self._ready_fd is not None:
            selector.unregister(self._ready_fd)
            os.close(self._ready_fd)
            self._ready_fd = None


@contextmanager
def _wake_on_signals(count: Callable[[int], None]) -> Iterator[int]:
    """A descriptor that becomes readable whenever a signal came or a child ended."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    # A process started by nohup is meant to survive the terminal.
    watched = [n for n in numbers if not (n == signal.SIGHUP and signal.getsignal(n) == signal.SIG_IGN)]
    before = {number: signal.signal(number, lambda n, _: count(n)) for number in watched}
    before_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
