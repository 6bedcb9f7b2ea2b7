"""Calling a function with each result, by a thread of its own."""

import logging
import random
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from predictq.errors import Unavailable
from predictq_producers.client.awaited import Awaited
from predictq_producers.client.errors import FellBehind
from predictq_producers.client.result import Result
from predictq_producers.client.sending import Sender
from predictq_producers.client.sockets import EVER, finished
from predictq_producers.client.streaming import ResultStream

__all__ = ["Callback", "Listener", "OnError", "Source", "of_endpoint", "of_requests"]

PAUSE_SECONDS = (0.5, 5.0)
"""After the gateway was away for the client's whole `timeout`; then it is tried again."""

Callback = Callable[[Result], object]
OnError = Callable[[Exception, Result | None], object]

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where results come from, again and again."""

    @property
    def begin(self) -> str | None:
        """The place where it began; None before it has, and where there is no such place."""

    @property
    def cursor(self) -> str | None:
        """The place behind the last result that was taken."""

    def results(self) -> Iterator[Result]:
        """What comes behind it. May raise, and be called again then."""

    def begun(self) -> bool:
        """Whether nothing that happens from now on is missed."""

    def close(self) -> None:
        """Make the iteration end soon. May be called by another thread."""


class Listener:
    """Calls a function with each result until it is closed, or all were told. May be used as a context manager."""

    def __init__(self, source: Source, callback: Callback, on_error: OnError | None) -> None:
        self._behind: str | None = None
        self.failure: Exception | None = None
        """Why it ended by itself; raised by `wait` and `close`."""
        self._source = source
        self._callback = callback
        self._on_error = on_error
        self._closed = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="predictq-listener", daemon=True)

    @property
    def cursor(self) -> str | None:
        """Behind the last result for which the function has returned: to be stored, for `after` of a later call.

        None where requests are listened to.
        """
        return self._behind or self._source.begin

    def start(self) -> Self:
        """Return once nothing that happens from now on is missed. Raises what keeps it from that."""
        self._thread.start()
        while not (self._begun.wait(0.02) or self._source.begun() or not self._thread.is_alive()):
            pass
        if self.failure is not None:
            self.close()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it ended by itself, within so many seconds. Raises what ended it."""
        self._thread.join(timeout)
        if self.failure is not None:
            raise self.failure
        return not self._thread.is_alive()

    def close(self) -> None:
        """Return when the function is called no more. Raises what had ended it before."""
        self._closed.set()
        self._source.close()
        if self._thread is not threading.current_thread():
            self._thread.join()
            if self.failure is not None:
                raise self.failure

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    for result in self._source.results():
                        self._call(result)
                        if self._closed.is_set():
                            return
                except (Unavailable, FellBehind) as error:
                    self._behind = self._source.cursor
                    self._tell(error, None)
                    self._begun.set()
                    self._closed.wait(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - no secret
                else:
                    return
        except Exception as error:
            log.exception("results are listened to no more")
            self.failure = error
        finally:
            self._begun.set()

    def _call(self, result: Result) -> None:
        try:
            self._callback(result)
        except Exception as error:
            log.exception(
                "the function that was called with result %s has failed; the next one is waited for", result.id
            )
            self._tell(error, result)
        self._behind = self._source.cursor

    def _tell(self, error: Exception, result: Result | None) -> None:
        if result is None:
            log.warning("results are waited for, but: %s", error)
        if self._on_error is not None:
            self._on_error(error, result)


class _OfEndpoint:
    def __init__(self, sender: Sender, endpoint: str, after: str | None) -> None:
        self._stream = ResultStream(sender, endpoint, after)

    @property
    def begin(self) -> str | None:
        return self._stream.begin

    @property
    def cursor(self) -> str | None:
        return self._stream.cursor

    def results(self) -> Iterator[Result]:
        return iter(self._stream)

    def begun(self) -> bool:
        return self._stream.begin is not None

    def close(self) -> None:
        self._stream.close()


class _OfRequests:
    begin = cursor = None

    def __init__(self, sender: Sender, request_ids: list[str]) -> None:
        self._sender = sender
        self._awaited = Awaited(request_ids)
        self._closed = threading.Event()

    def results(self) -> Iterator[Result]:
        return finished(self._sender, self._awaited, seconds=EVER, closed=self._closed)

    def begun(self) -> bool:
        return True

    def close(self) -> None:
        self._closed.set()


def of_endpoint(sender: Sender, endpoint: str, after: str | None) -> Source:
    """Every request of the endpoint, from now on or behind the cursor."""
    return _OfEndpoint(sender, endpoint, after)


def of_requests(sender: Sender, request_ids: list[str]) -> Source:
    """These requests, each once."""
    return _OfRequests(sender, request_ids)
