"""No test leaves a thread behind, none hangs for ever, and the process of the tests ends with them.

A plugin of pytest. pytest-timeout raises in a test that takes too long, once; what then waits in a `finally` or in a
fixture is nobody's business any more, and a thread that is not a daemon keeps the interpreter alive for ever.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures.thread import _worker as pool_worker
from typing import NoReturn

import pytest

_EXIT_CODE = pytest.StashKey[int]()
_WATCH = pytest.StashKey["_Watch"]()


class _Watch:
    """Ends the process, with all its stacks on stderr, when what it watches takes too long."""

    def __init__(self) -> None:
        # Of its own: while a test runs pytest catches what is written to the other.
        self._stderr = os.fdopen(os.dup((sys.__stderr__ or sys.stderr).fileno()), "w")
        self._changed = threading.Condition()
        self._what = ""
        self._deadline: float | None = None
        threading.Thread(target=self._watch, name="watch over the tests", daemon=True).start()

    def watch(self, what: str, seconds: float | None) -> None:
        """From now on; None: as long as it likes."""
        with self._changed:
            self._what = what
            self._deadline = None if seconds is None else time.monotonic() + seconds
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while self._deadline is None or (left := self._deadline - time.monotonic()) > 0:
                self._changed.wait(None if self._deadline is None else left)
            self.end(f"{self._what} does not end", threading.enumerate(), pytest.ExitCode.INTERNAL_ERROR)

    def end(self, why: str, threads: Iterable[threading.Thread], code: int) -> NoReturn:
        """End the process at once."""
        sys.stdout.flush()
        self._stderr.write(f"\n{why}; the process of the tests is ended:{_stacks(threads)}\n")
        self._stderr.flush()
        os._exit(code)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("end_seconds", "what a test may take beyond its timeout, and the session's end", default="300")
    parser.addini("thread_end_seconds", "for a thread that has been told to end", default="10")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_WATCH] = _Watch()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    config, marker = item.config, item.get_closest_marker("timeout")
    timeout = float(marker.args[0] if marker else config.getini("timeout") or 0)
    config.stash[_WATCH].watch(item.nodeid, timeout + _end_seconds(config) if timeout else None)
    try:
        return (yield)
    finally:
        config.stash[_WATCH].watch("", None)


@pytest.fixture(autouse=True)
def _no_thread_is_left(pytestconfig: pytest.Config) -> Iterator[None]:
    """Set up before what a test asks for, so it looks when all that is gone again."""
    before = set(threading.enumerate())
    yield
    if left := _left(pytestconfig, before):
        pytest.fail(f"it left running:{_stacks(left)}", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_EXIT_CODE] = int(exitstatus)
    session.config.stash[_WATCH].watch("the session", _end_seconds(session.config))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if left := _left(config, {threading.main_thread()}):
        code = config.stash.get(_EXIT_CODE, 0) or pytest.ExitCode.TESTS_FAILED
        config.stash[_WATCH].end("threads are left that would keep it alive", left, code)


def _end_seconds(config: pytest.Config) -> float:
    return float(config.getini("end_seconds"))


def _left(config: pytest.Config, known: set[threading.Thread]) -> list[threading.Thread]:
    """Threads that are not known and would keep the process alive, once they have had time to end."""
    others = [thread for thread in threading.enumerate() if thread not in known and not thread.daemon]
    deadline = time.monotonic() + float(config.getini("thread_end_seconds"))
    while others := [thread for thread in others if thread.is_alive() and not _waits_in_pool(thread)]:
        if (left := deadline - time.monotonic()) <= 0:
            break
        others[0].join(min(left, 0.1))
    return others


def _waits_in_pool(thread: threading.Thread) -> bool:
    """A pool's thread without work ends with the interpreter, or with its pool."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is pool_worker.__code__


def _stacks(threads: Iterable[threading.Thread]) -> str:
    frames = sys._current_frames()
    found = [(thread.name, frames.get(thread.ident or 0)) for thread in threads]
    return "".join(
        f"\nthread {name!r}\n{''.join(traceback.format_stack(frame)) if frame else ''}" for name, frame in found
    )
