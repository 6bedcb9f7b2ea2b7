"""A process of loops, and of what else runs in threads of their own: signals, readiness and an orderly end."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn, Protocol

from predictq.errors import PredictqError, UserMistake
from predictq.loop import Stop

__all__ = ["READY_FD", "Running", "announce_ready", "run_process"]

log = logging.getLogger(__name__)

READY_FD = "PREDICTQ_READY_FD"


class Running(Protocol):
    """What a process runs in a thread of its own: a `Loop`, or `Rounds`."""

    @property
    def name(self) -> str:
        """For the log."""

    @property
    def ready(self) -> threading.Event:
        """Set while it can do its work."""

    def run(self, stop: Stop) -> None:
        """Block until `stop` is set, and the little while after that which an orderly end takes."""


def announce_ready() -> None:
    """Tell the supervisor, if there is one, by a line on the pipe whose descriptor is in `$PREDICTQ_READY_FD`."""
    descriptor = os.environ.pop(READY_FD, None)
    if descriptor is not None:
        os.write(int(descriptor), b"ready\n")
        os.close(int(descriptor))


def run_process(
    name: str, loops: Sequence[Running], *, grace_seconds: float, close: Callable[[], None] = lambda: None
) -> int:
    """Run the loops, each in a thread, until SIGTERM or SIGINT; returns the exit code.

    The first signal, or the end of one loop, lets every loop finish the batch in hand; a second one, or the end of
    `grace_seconds`, ends the process at once and the batch goes to another member. `close` is called last. To be
    called by the main thread.
    """
    stop = Stop()
    _install_signals(name, stop)
    _watch_grace(name, stop, grace_seconds)
    failures: list[Exception] = []
    threads = [_start(loop, stop, failures) for loop in loops]
    _announce_when_ready(name, loops, stop)
    for thread in threads:
        thread.join()
    close()
    log.info("%s: stopped", name)
    return max((2 if isinstance(failure, UserMistake) else 1 for failure in failures), default=0)


def _start(loop: Running, stop: Stop, failures: list[Exception]) -> threading.Thread:
    def run() -> None:
        try:
            loop.run(stop)
        except PredictqError as error:
            log.error("%s: %s", loop.name, error)  # noqa: TRY400 - a sentence for people, not a bug
            failures.append(error)
        except Exception as error:
            log.exception("%s: ended by a bug", loop.name)
            failures.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=run, name=loop.name, daemon=True)
    thread.start()
    return thread


def _announce_when_ready(name: str, loops: Sequence[Running], stop: Stop) -> None:
    for loop in loops:
        while not loop.ready.wait(0.05):
            if stop.is_set():
                return
    log.info("%s: ready", name)
    announce_ready()


def _watch_grace(name: str, stop: Stop, grace_seconds: float) -> None:
    def watch() -> None:
        stop.wait()
        time.sleep(grace_seconds)
        _end_at_once(name, 1, f"not finished within {grace_seconds:g} s")

    threading.Thread(target=watch, name="grace", daemon=True).start()


def _install_signals(name: str, stop: Stop) -> None:
    received: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if received:
            _end_at_once(name, 128 + number, "second signal")
        received.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)


def _end_at_once(name: str, exit_code: int, why: str) -> NoReturn:
    log.warning("%s: %s: ending at once, the batch in hand goes to another member", name, why)
    logging.shutdown()
    os._exit(exit_code)
