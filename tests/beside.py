"""What runs beside a test, and has ended with it whatever becomes of it."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

__all__ = ["after", "running", "running_process"]

_LAST_SECONDS = 100.0
"""Between being told to end and having ended; for what takes a second or two on an idle machine."""


@contextmanager
def running(*calls: Callable[[], Any], stop: Callable[[], object] = lambda: None) -> Iterator[list[Future[Any]]]:
    """Each call on a thread of its own; gives their results, in order.

    On leaving, `stop` tells them to end and they are awaited: the test fails where one does not end, or raised.
    """
    results: list[Future[Any]] = [Future() for _ in calls]
    threads = [
        threading.Thread(target=_run, args=(call, result), name=f"beside: {getattr(call, '__qualname__', call)}")
        for call, result in zip(calls, results, strict=True)
    ]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        yield results
    except BaseException as failure:
        for result in results:
            if result.done() and (error := result.exception()) is not None:
                failure.add_note(f"beside it was raised: {error!r}")
        raise
    finally:
        stop()
        deadline = time.monotonic() + _LAST_SECONDS
        for thread in started:
            thread.join(max(deadline - time.monotonic(), 0.0))
        left = [thread.name for thread in started if thread.is_alive()]
        assert not left, f"not ended {_LAST_SECONDS:g} s after the end: {', '.join(left)}"
    for result in results:
        result.result()


def after(seconds: float, call: Callable[[], Any]) -> Callable[[], Any]:
    """The same call, later."""

    def later() -> Any:
        time.sleep(seconds)
        return call()

    return later


@contextmanager
def running_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | None = None,
    stderr: TextIO | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process whose standard output is read by the test; killed at the end where it still runs."""
    with subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _run(call: Callable[[], Any], result: Future[Any]) -> None:
    try:
        result.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
        result.set_exception(error)
